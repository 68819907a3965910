// What `pnpm gpu` runs on a machine with a GPU: the conformance suite, then speeds of linear layers; all of it as JSON. AO_GPU_SHAPE=N,K
// changes the layer, which is Llama 8B's gate otherwise.
import { writeFileSync } from 'node:fs';
import * as ao from '@ao/core';
import { normal_ } from '@ao/core/autograd';
import { opSamples } from '@ao/core/samples';
import { runOpConformance } from '@ao/testing/ops';
import { cuda, report } from '../src/index.ts';

interface Speed {
  readonly name: string;
  /** Microseconds of a call, the median over replays of a plan. */
  readonly us: number;
  /** Bytes of weights over that time, or operations. */
  readonly gbPerSecond: number;
  readonly tflops: number;
}

const CALLS = 20;
const TURNS = 15;

/** One plan of CALLS calls over weights of their own, so that no cache holds them. */
async function time(rt: ao.Runtime, calls: readonly (() => ao.Tensor)[]): Promise<number> {
  const plan = rt.capture(() => calls.map((call) => call()));
  const times: number[] = [];
  for (let i = 0; i < TURNS + 3; i++) {
    await rt.backend('cuda').sync();
    const start = performance.now();
    plan.replay();
    await rt.backend('cuda').sync();
    if (i >= 3) times.push(((performance.now() - start) * 1000) / calls.length);
  }
  plan.dispose();
  return times.sort((a, b) => a - b)[TURNS >> 1]!;
}

/** x [M, K] times int4 or int8 weights in groups of 128, or bfloat16 ones. */
async function linear(
  rt: ao.Runtime,
  M: number,
  N: number,
  K: number,
  code: 'bfloat16' | 'int8' | 'int4',
): Promise<Speed> {
  const state = ao.tensor(rt, [1, 0], { dtype: ao.int32 });
  const values = (shape: readonly number[], std = 0.02) =>
    normal_(ao.empty(rt, shape, { dtype: ao.bfloat16 }), 0, std, state) as ao.Dense;
  const x = values([M, K]);
  const weights = Array.from({ length: CALLS }, () => {
    const w = values([N, K]);
    if (code === 'bfloat16') {
      ao.packWeight(rt, w);
      return w;
    }
    const bytes = code === 'int4' ? K / 2 : K;
    const codes = ao.cast(values([N, bytes], 30), ao.int8) as ao.Dense;
    const scale = values([N, K / 128]);
    const format = { code, N, K, groupSize: 128, zeroDomain: 'none', activation: 'exact' } as const;
    w.packed = rt.packer('cuda')!.pack({ format, codes, scale }, ao.bfloat16);
    w.releaseBytes();
    return w;
  });
  const us = await time(
    rt,
    weights.map((w) => () => ao.linear(x, w)),
  );
  const bytes = N * K * (code === 'bfloat16' ? 2 : code === 'int8' ? 1 : 0.5);
  for (const t of [x, state, ...weights]) t.dispose();
  return {
    name: `linear ${code} [${M}, ${K}] x [${N}, ${K}]`,
    us,
    gbPerSecond: bytes / us / 1e3,
    tflops: (2 * M * N * K) / us / 1e6,
  };
}

const [out = 'gpu.json', ...only] = process.argv.slice(2);
const found = report();
if (found.reason !== '') {
  console.log(`skipped: ${found.reason}`);
  process.exit(77);
}
const rt = await ao.createRuntime({ use: [cuda()] });
const result: Record<string, unknown> = { date: new Date().toISOString(), ...found };
const keep = () => writeFileSync(out, `${JSON.stringify(result, null, 1)}\n`);
if (only.length === 0 || only.includes('conformance')) {
  const { passed, skipped, failed } = await runOpConformance(rt, 'cuda', opSamples());
  result['conformance'] = { passed: passed.length, skipped, failed };
  for (const { test, message } of failed) console.log(`FAILED ${test}: ${message}`);
  console.log(`${passed.length} passed, ${failed.length} failed`);
  keep();
}
if (only.length === 0 || only.includes('bench')) {
  const [N = 28672, K = 4096] = (process.env['AO_GPU_SHAPE'] ?? '').split(',').filter(Boolean).map(Number);
  const speeds: Speed[] = [];
  result['speeds'] = speeds;
  for (const M of [1, 8, 64, 2048])
    for (const code of ['bfloat16', 'int8', 'int4'] as const) {
      const speed = await linear(rt, M, N, K, code);
      speeds.push(speed);
      console.log(
        `${speed.name}: ${speed.us.toFixed(1)} us, ${speed.gbPerSecond.toFixed(0)} GB/s, ${speed.tflops.toFixed(1)} TFLOP/s`,
      );
      keep();
    }
}
keep();
await rt.close();
