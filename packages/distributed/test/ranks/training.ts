// Training by two ranks beside training by one process: data parallel, sharded, in float8, adapters over NF4; and checkpoints between them.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Tensor } from '@ao/core';
import { convertToFloat8Training, float8Training } from '@ao/float8';
import { type CausalLM, createFile, openFile } from '@ao/hf-integration';
import { AdamW, AdamW8bit, optim } from '@ao/optim';
import { getPeftModel, loraConfig, qat } from '@ao/qat';
import { nf4WeightOnly, quantization, quantize_ } from '@ao/quantization';
import { fullyShard, loadSharded, replicate, saveSharded } from '../../src/index.ts';
import { rank, tell } from './runtime.ts';
import { losses, parameters, tiny } from './tiny.ts';

const { rt, group } = await rank([optim(), quantization(), qat(), float8Training()]);
const result: Record<string, unknown> = { rank: group.rank };
const adamw = (m: CausalLM) => new AdamW(parameters(m), { lr: 3e-3 });

for (const dtype of ['float32', 'bfloat16']) {
  const one = await tiny(rt, dtype);
  result[`${dtype} one`] = await losses(one, adamw(one), undefined);
  const copy = await tiny(rt, dtype);
  replicate(copy, group, { bucketBytes: 40_000 });
  result[`${dtype} replicated`] = await losses(copy, adamw(copy), group);
  const parts = await tiny(rt, dtype);
  result[`${dtype} sharded names`] = fullyShard(parts, group).length;
  result[`${dtype} sharded`] = await losses(parts, adamw(parts), group);
  const said = async (m: CausalLM) =>
    (await m.generate([5, 8, 11], { maxNewTokens: 6, doSample: true, temperature: 1, seed: 7 })).ids;
  for (const m of [one, parts]) for (const p of parameters(m)) p.requiresGrad = false;
  if (dtype === 'float32') result['generated'] = [await said(one), await said(parts)];
  for (const m of [one, copy, parts]) m.dispose();
}

// moments in 8 bits, saved halfway by both ranks, and gone on with by one process; and the other way
const folder = process.env['AO_TEST_FOLDER']!;
const files = (name: string) => ({
  create: (file: string) => createFile(join(folder, name, file)),
  open: (file: string) => openFile(join(folder, name, file)),
});
const eight = (m: CausalLM) => new AdamW8bit(parameters(m), { lr: 3e-3, blockSize: 64 });
for (const name of ['from-two', 'from-one']) await mkdir(join(folder, name), { recursive: true });
const model = await tiny(rt, 'float32');
fullyShard(model, group);
const optimizer = eight(model);
const first = await losses(model, optimizer, group, { steps: 6 });
await saveSharded(model, { group, optimizer, ...files('from-two') });
result['8 bits, two ranks'] = [...first, ...(await losses(model, optimizer, group, { steps: 4, from: 6 }))];
const alone = await tiny(rt, 'float32', { vocab_size: 97 });
const own = eight(alone);
await loadSharded(alone, { optimizer: own, ...files('from-two') });
if (group.rank === 0) await saveSharded(alone, { optimizer: own, ...files('from-one') });
await group.barrier();
result['8 bits, then one'] = await losses(alone, own, undefined, { steps: 4, from: 6 });
const again = await tiny(rt, 'float32');
fullyShard(again, group);
const shared = eight(again);
await loadSharded(again, { group, optimizer: shared, ...files('from-one') });
result['8 bits, one, then two'] = await losses(again, shared, group, { steps: 4, from: 6 });
const whole = await tiny(rt, 'float32');
result['8 bits, one'] = await losses(whole, eight(whole), undefined, { steps: 10 });

// float8, tensorwise: ranks exchange codes
const untied = { tie_word_embeddings: false };
const sent = new Map<string, number>();
const { dispatch } = rt;
const low = async (sharded: boolean): Promise<number[]> => {
  const m = await tiny(rt, 'bfloat16', untied);
  convertToFloat8Training(m, { moduleFilterFn: (_: unknown, name: string) => name !== 'lm_head' });
  if (sharded) fullyShard(m, group);
  // micro-batches, as ranks do, have scales of their own for what is multiplied with weights
  return losses(m, adamw(m), sharded ? group : undefined, { steps: 8, micro: sharded ? 1 : 2 });
};
result['float8 one'] = await low(false);
rt.dispatch = (op, args) => {
  const { dtype } = args[0] as Tensor;
  if (op.id === 'all_gather') sent.set(dtype.name, (sent.get(dtype.name) ?? 0) + 1);
  return dispatch.call(rt, op, args);
};
result['float8 sharded'] = await low(true);
rt.dispatch = dispatch;
result['float8 sent'] = Object.fromEntries(sent);

// adapters over NF4: the base is frozen and sharded, adapters are trained
const adapted = async (sharded: boolean): Promise<number[]> => {
  const m = await tiny(rt, 'float32', { ...untied, hidden_size: 128 });
  for (const p of m.parameters()) p.requiresGrad = false;
  await quantize_(m, [['re:.*_proj', nf4WeightOnly()]] as never);
  getPeftModel(m, loraConfig({ r: 4, targetModules: ['q_proj', 'v_proj', 'down_proj'] }));
  if (sharded) result['nf4 sharded names'] = fullyShard(m, group).filter((n) => n.includes('q_proj'));
  return losses(m, adamw(m), sharded ? group : undefined, { steps: 8 });
};
result['nf4 one'] = await adapted(false);
result['nf4 sharded'] = await adapted(true);

tell(result);
await group.destroy();
await rt.close();
