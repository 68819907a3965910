// ONNX Runtime's MatMulNBits at accuracy level 4, `rounds` times in a Loop of one session call. What the loop itself costs a
// round, measured with a weight of one block, is taken off.
import { createRequire } from 'node:module';
import type { LinearJob, LinearResult, LinearSetup } from '../linear-engine.ts';
import { type MatMulNBits, matMulNBitsModel } from '../onnx-model.ts';
import { PEERS } from '../peers/where.ts';
import { serve } from '../serve.ts';
import { median } from '../statistics.ts';

interface Session {
  run(feeds: Readonly<Record<string, unknown>>): Promise<unknown>;
}

await serve<LinearSetup, LinearJob, LinearResult>(async ({ threads }) => {
  const require = createRequire(import.meta.url);
  const { InferenceSession, Tensor } = require(PEERS.ort);
  const options = {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
  };
  const sessions = new Map<string, { session: Session; x: unknown }>();

  async function perRound(weight: MatMulNBits, rounds: number): Promise<number> {
    const key = JSON.stringify(weight);
    const ready = sessions.get(key) ?? {
      session: (await InferenceSession.create(matMulNBitsModel(weight), options)) as Session,
      x: new Tensor('float32', new Float32Array(weight.m * weight.k).fill(0.5), [weight.m, weight.k]),
    };
    sessions.set(key, ready);
    const feeds = { x: ready.x, rounds: new Tensor('int64', [BigInt(rounds)], []) };
    const start = performance.now();
    await ready.session.run(feeds);
    return (performance.now() - start) / 1000 / rounds;
  }

  const empty: MatMulNBits = { m: 1, n: 1, k: 32, block: 32, zeroPoints: false };
  const overheads: number[] = [];
  for (let i = 0; i < 7; i++) overheads.push(await perRound(empty, 2000));
  const overhead = median(overheads);

  async function run({ m, n, k, group, zeroPoints, rounds }: LinearJob): Promise<LinearResult> {
    return { seconds: (await perRound({ m, n, k, block: group, zeroPoints }, rounds)) - overhead };
  }
  return { info: { engine: 'onnxruntime', threads, overheadMicroseconds: overhead * 1e6 }, run };
});
