// @ao/distributed over NCCL: each collective eager and replayed, and sharded and tensor parallel layers beside whole ones. On a machine with several
// GPUs it runs itself once more as one process a GPU; with one it is a group of one rank.
import * as ao from '@ao/core';
import { autograd, backward, normal_, trainableParameters } from '@ao/core/autograd';
import {
  allGather,
  allReduce_,
  broadcast_,
  distributed,
  fullyShard,
  initProcessGroup,
  launch,
  launchEnvironment,
  type ProcessGroup,
  parallelize,
  reduceScatter,
} from '@ao/distributed';
import { cuda, report } from '@ao/kernels-cuda';
import { AdamW8bit, optim } from '@ao/optim';
import { getPeftModel, loraConfig, qat } from '@ao/qat';
import {
  float8WeightOnly,
  int4WeightOnly,
  int8WeightOnly,
  nf4WeightOnly,
  quantization,
  quantize_,
} from '@ao/quantization';
import type { Part, Say } from '../part.ts';

class Layers extends ao.Module {
  up: ao.Linear;
  down: ao.Linear;
  constructor(rt: ao.Runtime, n: number, dtype: ao.DType) {
    super();
    const state = ao.tensor(rt, [5, 0], { dtype: ao.int32 });
    const made = (rows: number, columns: number): ao.Linear =>
      new ao.Linear(ao.keep(normal_(ao.empty(rt, [rows, columns], { dtype }), 0, 0.05, state)));
    [this.up, this.down] = [made(4 * n, n), made(n, 4 * n)];
    this.named();
  }
  forward(x: ao.Tensor): ao.Tensor {
    return this.down.call(ao.silu(this.up.call(x)));
  }
}

const N = 256;
const ROWS = 64;
const fresh = (rt: ao.Runtime, seed: number, shape: readonly number[], dtype: ao.DType = ao.bfloat16): ao.Tensor =>
  ao.keep(normal_(ao.empty(rt, shape, { dtype }), 0, 1, ao.tensor(rt, [seed, 0], { dtype: ao.int32 })));

/** 20 captured steps of AdamW8bit on this rank's rows, of the layers or of adapters over them in NF4; the mean loss over ranks of each. */
async function losses(rt: ao.Runtime, group: ProcessGroup, sharded: boolean, adapters: boolean): Promise<number[]> {
  const model = new Layers(rt, N, ao.bfloat16);
  if (adapters) {
    await quantize_(model, nf4WeightOnly() as never);
    getPeftModel(model, loraConfig({ r: 8, targetModules: ['up', 'down'] }));
  } else for (const p of model.parameters()) p.requiresGrad = true;
  if (sharded) fullyShard(model, group);
  const params = trainableParameters(model).map(([, t]) => t);
  const optimizer = new AdamW8bit(params, { lr: 1e-3 });
  const share = sharded ? ROWS / group.size : ROWS;
  const own = (t: ao.Tensor): ao.Tensor =>
    sharded ? ao.contiguous(ao.slice(t, 0, group.rank * share, (group.rank + 1) * share)) : t;
  const [x, y] = [own(fresh(rt, 1, [ROWS, N])), own(fresh(rt, 2, [ROWS, N]))];
  optimizer.initState();
  const plan = rt.capture(
    (a, b) => {
      const off = ao.cast(ao.sub(model.call(a!) as ao.Tensor, b!), ao.float32);
      const loss = ao.mean(ao.mul(off, off));
      backward(loss);
      optimizer.step();
      optimizer.zeroGrad();
      const all = ao.clone(ao.noGrad(() => ao.reshape(loss, [1])));
      return sharded ? allReduce_(all, group, 'avg') : all;
    },
    x,
    y,
  );
  const found: number[] = [];
  for (let i = 0; i < 20; i++) found.push(await plan.replay(x, y)[0]!.item());
  plan.dispose();
  return found;
}

async function collectives(rt: ao.Runtime, group: ProcessGroup): Promise<number> {
  const { rank, size } = group;
  let wrong = 0;
  const expect = async (t: ao.Tensor, values: readonly number[]): Promise<void> => {
    if ([...((await t.data()) as Float32Array)].join() !== values.join()) wrong += 1;
  };
  const ranks = Array.from({ length: size }, (_, r) => r);
  const sum = ranks.reduce((a, r) => a + r + 1, 0);
  for (const dtype of [ao.float32, ao.bfloat16, ao.float16]) {
    const one = (): ao.Tensor => ao.tensor(rt, [rank + 1, 2 * (rank + 1)], { dtype });
    await expect(allReduce_(one(), group), [sum, 2 * sum]);
    await expect(allReduce_(one(), group, 'max'), [size, 2 * size]);
    await expect(allReduce_(one(), group, 'min'), [1, 2]);
    await expect(
      allGather(one(), group),
      ranks.flatMap((r) => [r + 1, 2 * (r + 1)]),
    );
    await expect(broadcast_(one(), group, size - 1), [size, 2 * size]);
    await expect(
      reduceScatter(
        ao.tensor(
          rt,
          ranks.map((r) => r + rank),
          { dtype },
        ),
        group,
      ),
      [size * rank + sum - size],
    );
    const plan = rt.capture(
      (x) => ao.add(allReduce_(ao.clone(x!), group), allGather(ao.slice(x!, 0, 0, 1), group).shape[0]!),
      one(),
    );
    for (let i = 0; i < 4; i++) await expect(plan.replay(one())[0]!, [sum + size, 2 * sum + size]);
    plan.dispose();
  }
  await expect(
    allGather(ao.tensor(rt, [rank, 255], { dtype: ao.uint8 }), group),
    ranks.flatMap((r) => [r, 255]),
  );
  return wrong;
}

const SCHEMES = {
  bfloat16: undefined,
  int8: int8WeightOnly(),
  int4: int4WeightOnly({ groupSize: 32 }),
  float8: float8WeightOnly(),
};

function decibels(a: Float32Array, b: Float32Array): number {
  const power = (f: (i: number) => number): number => a.reduce((s, _, i) => s + f(i) ** 2, 1e-12);
  return 10 * Math.log10(power((i) => a[i]!) / power((i) => a[i]! - b[i]!));
}

/** Decibels between the whole layers and the tensor parallel ones. */
async function parallel(rt: ao.Runtime, group: ProcessGroup, config: unknown): Promise<number> {
  const x = fresh(rt, 3, [4, N]);
  const run = async (cut: boolean): Promise<Float32Array> => {
    const model = new Layers(rt, N, ao.bfloat16);
    if (config !== undefined) await quantize_(model, config as never);
    if (cut) parallelize(model, { up: 'colwise', down: 'rowwise' }, group);
    await ao.prepare(model);
    return (await (model.call(x) as ao.Tensor).data()) as Float32Array;
  };
  const [a, b] = [await run(false), await run(true)];
  return decibels(a, b);
}

/** Microseconds of a collective of `bytes` in a plan, and what NCCL's tests call bus bandwidth. */
async function speed(rt: ao.Runtime, group: ProcessGroup, say: Say, bytes: number): Promise<void> {
  const t = ao.keep(ao.zeros(rt, [bytes / 2], { dtype: ao.bfloat16 }));
  const plan = rt.capture(() => Array.from({ length: 10 }, () => allReduce_(t, group)));
  const times: number[] = [];
  for (let i = 0; i < 13; i++) {
    await rt.backend('cuda').sync();
    const start = performance.now();
    plan.replay();
    await rt.backend('cuda').sync();
    if (i >= 3) times.push((performance.now() - start) * 100);
  }
  plan.dispose();
  say({
    name: `all_reduce bfloat16 ${bytes >> 10} KiB, ${group.size} ranks`,
    unit: 'us',
    value: times.sort((x, y) => x - y)[5]!,
  });
}

async function onRank(say: Say): Promise<void> {
  const env = launchEnvironment();
  const use = [autograd(), cuda({ device: env.localRank }), distributed(), optim(), qat(), quantization()];
  const rt = await ao.createRuntime({ use });
  const begin = performance.now();
  const group = await initProcessGroup(rt, { timeout: 60 });
  const tell: Say = (row) => group.rank === 0 && say(row);
  tell({ name: `initProcessGroup, ${group.size} ranks`, unit: 'ms', value: performance.now() - begin });
  tell({ name: `collectives, ${group.size} ranks`, unit: 'failed', value: await collectives(rt, group) });
  for (const adapters of [false, true]) {
    const [one, many] = [await losses(rt, group, false, adapters), await losses(rt, group, true, adapters)];
    const apart = Math.max(...one.map((v, i) => Math.abs(many[i]! / v - 1)));
    const name = `20 sharded steps${adapters ? ' of adapters over NF4' : ''}, ${group.size} ranks`;
    tell({ name: `${name}, relative to one`, unit: 'x', value: apart, note: `losses ${many[0]} to ${many[19]}` });
    tell({ name: `${name}, beyond 1e-3`, unit: 'failed', value: apart < 1e-3 && many[19]! < many[0]! ? 0 : 1 });
  }
  for (const [name, config] of Object.entries(SCHEMES)) {
    const decibel = await parallel(rt, group, config);
    tell({
      name: `${name} layers cut, ${group.size} ranks`,
      unit: 'failed',
      value: decibel > 40 ? 0 : 1,
      note: `${decibel.toFixed(1)} dB`,
    });
  }
  const frozen = new Layers(rt, N, ao.bfloat16);
  await quantize_(frozen, nf4WeightOnly() as never);
  const x = fresh(rt, 4, [4, N]);
  const before = (await (frozen.call(x) as ao.Tensor).data()) as Float32Array;
  fullyShard(frozen, group);
  const after = (await (frozen.call(x) as ao.Tensor).data()) as Float32Array;
  const nf4 = decibels(before, after);
  tell({
    name: `sharded NF4, ${group.size} ranks`,
    unit: 'failed',
    value: nf4 > 40 ? 0 : 1,
    note: `${nf4.toFixed(1)} dB`,
  });
  for (const bytes of [1 << 12, 1 << 26]) await speed(rt, group, tell, bytes);
  await group.destroy();
  await rt.close();
}

export const distributedPart: Part = {
  name: 'distributed',
  async run(_, say) {
    await onRank(say);
    if (process.env['RANK'] !== undefined) return;
    const { devices } = report();
    if (devices.length < 2) return void console.log('distributed: skipped: several ranks; this machine has 1 GPU');
    const { code } = await launch({
      nproc: devices.length,
      script: process.argv[1]!,
      args: [`ranks-${devices.length}.json`, 'distributed'],
    });
    say({ name: `a rank a GPU, ${devices.length} ranks`, unit: 'failed', value: code === 0 ? 0 : 1 });
  },
};
