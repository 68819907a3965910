// One of the processes that parallel.test.mjs starts: a model whose weights are square8, cut over them, beside the whole one.
import { createRuntime } from '@ao/core';
import { distributed, initProcessGroup, parallelize } from '@ao/distributed';
import { cpu } from '@ao/kernels-cpu';
import { quantize_ } from '@ao/quantization';
import { square8, square8WeightOnly } from 'ao-example-square8';
import { input, Model } from './model.mjs';

const rt = await createRuntime({ use: [cpu(), square8(), distributed()] });
const group = await initProcessGroup(rt, { timeout: 30 });
const [whole, parts] = [new Model(rt), new Model(rt)];
for (const model of [whole, parts]) await quantize_(model, square8WeightOnly({ groupSize: 32 }));
const names = parallelize(parts, { 'mlp.up_proj': 'colwise', 'mlp.down_proj': 'rowwise' }, group);
const rows = parts.mlp.up_proj.weight.weight.qdata.shape[0];
const [expected, found] = [await whole.call(input(rt, 3)).data(), await parts.call(input(rt, 3)).data()];
const apart = Math.max(...expected.map((v, i) => Math.abs(v - found[i])));
process.stdout.write(`${JSON.stringify({ rank: group.rank, names, rows, apart })}\n`);
await group.destroy();
await rt.close();
