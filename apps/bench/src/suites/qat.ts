// The fake-quantized linear beside the plain one, forward and backward in one captured plan, as training runs them: x [1024, 576], W [1536, 576],
// float32, gradients by both. The ratio of times; rounds alternate.
import { createRuntime, type Dense, keep, Linear, type Runtime, sum, type Tensor, tensor } from '@ao/core';
import { autograd, grad } from '@ao/core/autograd';
import { cpu } from '@ao/kernels-cpu';
import { qat } from '@ao/qat';
import { parseScheme, quantization, quantize_ } from '@ao/quantization';
import { median } from '../statistics.ts';
import type { Measurement, Suite, SuiteOptions } from '../suite.ts';

const [ROWS, K, N] = [1024, 576, 1536];
/** Steps a sample. */
const STEPS = 4;
const SCHEMES = ['intx4-32', 'int4wo-32', 'int8wo', '8da4w-32', 'int8dq'] as const;
const idOf = (scheme: string): string => `qat-linear-${scheme}`;

const noise = (rt: Runtime, shape: readonly number[], seed: number): Dense => {
  const values = Float32Array.from({ length: shape[0]! * shape[1]! }, (_, i) => Math.sin(i * 12.9898 + seed));
  return keep(tensor(rt, values, { shape })) as Dense;
};

/** Seconds of a step. */
type Step = () => Promise<number>;

async function stepOf(rt: Runtime, scheme: string | undefined): Promise<Step> {
  const layer = new Linear(noise(rt, [N, K], 1));
  const leaf = layer.weight;
  leaf.requiresGrad = true;
  if (scheme !== undefined) await quantize_(layer, qat(parseScheme(scheme)), { sqnr: false });
  const trained = (layer.weight as unknown as { weight?: Tensor }).weight ?? leaf;
  const gradient = noise(rt, [ROWS, N], 3);
  const plan = rt.capture(
    (x) => {
      x!.requiresGrad = true;
      return grad(layer.call(x!), [x!, trained], { gradient }).map((g) => g!);
    },
    noise(rt, [ROWS, K], 2),
  );
  return async () => {
    const start = performance.now();
    let last: Dense[] = [];
    for (let i = 0; i < STEPS; i++) last = plan.replay();
    await sum(last[1]!).item();
    return (performance.now() - start) / STEPS / 1000;
  };
}

async function* run({ wants, threads, repeats }: SuiteOptions): AsyncIterable<Measurement> {
  const rt = await createRuntime({ use: [autograd(), quantization(), qat(), cpu({ threads })] });
  try {
    const plain = await stepOf(rt, undefined);
    for (const scheme of SCHEMES) {
      const id = idOf(scheme);
      if (!wants(id)) continue;
      const fake = await stepOf(rt, scheme);
      await plain();
      await fake();
      const times: { plain: number; fake: number }[] = [];
      for (let i = 0; i < repeats; i++) times.push({ plain: await plain(), fake: await fake() });
      yield {
        id,
        what: `fake-quantized linear by ${scheme}, forward and backward, over the plain one's time`,
        unit: 'x',
        scheme,
        ours: median(times.map((t) => t.fake / t.plain)),
        runs: { plain: times.map((t) => t.plain), ours: times.map((t) => t.fake) },
        lowerIsBetter: true,
        target: { kind: 'at most', value: 1.3 },
      };
    }
  } finally {
    await rt.close();
  }
}

export const suite: Suite = { name: 'qat', rows: SCHEMES.map(idOf), run };
