// int4 weights with int8 activations against ONNX Runtime's MatMulNBits at accuracy level 4: one row in cache, and 512 rows.
import { Contender, nodeCommand } from '../contender.ts';
import { interleave } from '../interleave.ts';
import type { LinearEngine, LinearJob } from '../linear-engine.ts';
import { median } from '../statistics.ts';
import type { Measurement, Suite, SuiteOptions } from '../suite.ts';

interface Case extends Omit<LinearJob, 'rounds'> {
  readonly id: string;
  readonly target: number;
}

const CASES: readonly Case[] = [
  { id: 'gemv-ort-4096x4096', m: 1, n: 4096, k: 4096, group: 32, zeroPoints: true, target: 1.2 },
  { id: 'gemv-ort-2048x8192', m: 1, n: 2048, k: 8192, group: 32, zeroPoints: true, target: 1.2 },
  { id: 'gemm-ort-g128', m: 512, n: 4096, k: 4096, group: 128, zeroPoints: false, target: 1.5 },
  { id: 'gemm-ort-g32', m: 512, n: 4096, k: 4096, group: 32, zeroPoints: true, target: 1.35 },
];
const PEER = 'ONNX Runtime MatMulNBits';
/** Enough for a fifth of a second or so. */
const ROUNDS = { gemv: 600, gemm: 3 };

function head({ id, m, n, k, group, zeroPoints, target }: Case) {
  const work = m === 1 ? 'GEMV in cache' : `GEMM M = ${m}`;
  return {
    id,
    what: `${work} ${n}x${k} int4 g${group} ${zeroPoints ? 'with zero points' : 'symmetric'}`,
    unit: m === 1 ? 'GB/s of codes' : 'GOP/s',
    form: 'int8-group',
    target: { kind: 'ratio', value: target },
  } as const;
}

async function* run({ wants, absent, threads, repeats }: SuiteOptions): AsyncIterable<Measurement> {
  const skipped = absent('ort');
  const engines: LinearEngine[] = [];
  try {
    const env = { AO_NUM_THREADS: String(threads) };
    engines.push(await Contender.start('ours', nodeCommand('linear', env), { threads }));
    if (skipped === undefined) engines.push(await Contender.start(PEER, nodeCommand('ort'), { threads }));
    for (const item of CASES) {
      if (!wants(item.id)) continue;
      const { m, n, k, group, zeroPoints } = item;
      const rounds = m === 1 ? ROUNDS.gemv : ROUNDS.gemm;
      const results = await interleave(engines, { m, n, k, group, zeroPoints, rounds }, repeats);
      const work = m === 1 ? (n * k) / 2 : 2 * m * n * k;
      const runs = Object.fromEntries(
        Object.entries(results).map(([name, list]) => [name, list.map(({ seconds }) => work / seconds / 1e9)]),
      );
      const peer = runs[PEER];
      yield {
        ...head(item),
        ours: median(runs['ours']!),
        runs,
        ...(peer === undefined ? {} : { peer: { name: PEER, value: median(peer) } }),
        ...(skipped === undefined ? {} : { skipped }),
      };
    }
  } finally {
    for (const engine of engines) engine.stop();
  }
}

export const suite: Suite = { name: 'ort', rows: CASES.map(({ id }) => id), run };
