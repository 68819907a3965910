// AutoRound: starts at the scheme's own rounding for every way of zero points, loses less of a block's output, composes, and refuses.
import { createRuntime, dequantize, keep, Linear, Module, philox, relu, reshape, type Tensor, tensor } from '@ao/core';
import { describe, expect, it } from 'vitest';
import {
  type AoConfig,
  autoRound,
  awq,
  baseAlgorithm,
  type CalibrationAlgorithm,
  calibrate,
  int4WeightOnly,
  parseScheme,
  quantization,
} from '../src/index.ts';
import { devices } from './devices.ts';

const { rt } = devices.at(-1)!;
/** Groups of 16 do not divide it. */
const WIDTH = 40;

const normal = (n: number, seed: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => philox(seed, i, 0).reduce((s, v) => s + v / 2 ** 32 - 0.5, 0) * 1.7);
const matrix = (rows: number, columns: number, seed: number): Tensor =>
  keep(tensor(rt, normal(rows * columns, seed), { shape: [rows, columns] }));

class Layer extends Module {
  up_proj: Linear;
  down_proj: Linear;

  constructor(seed: number) {
    super();
    this.up_proj = new Linear(matrix(32, WIDTH, seed));
    this.down_proj = new Linear(matrix(WIDTH, 32, seed + 1));
  }

  forward = (x: Tensor): Tensor => this.down_proj.call(relu(this.up_proj.call(x)));
}

class Stack extends Module {
  layers = [new Layer(1), new Layer(3)];
  head = new Linear(matrix(24, WIDTH, 9));
  readonly #between: (x: Tensor) => Tensor;

  constructor(between: (x: Tensor) => Tensor = (x) => x) {
    super();
    this.#between = between;
  }

  forward = (x: Tensor): Tensor => this.head.call(this.layers.reduce((h, layer) => layer.call(this.#between(h)), x));
}

/** Columns differ in size, so that it matters where a weight is off. */
const batch = (seed: number): Tensor =>
  keep(
    tensor(
      rt,
      normal(128 * WIDTH, seed).map((v, i) => v * (i % 8 === 0 ? 6 : 1)),
      { shape: [128, WIDTH] },
    ),
  );
const data = [batch(11), batch(12)];
const fast = { iters: 40 };

async function run(algorithm: CalibrationAlgorithm, between?: (x: Tensor) => Tensor) {
  const model = new Stack(between);
  const x = batch(14);
  const want = await model.call(x).data();
  const report = await calibrate(model, data, algorithm);
  const got = await model.call(x).data();
  const error = Math.sqrt(Float64Array.from(want, (v, i) => (Number(v) - Number(got[i])) ** 2).reduce((a, b) => a + b));
  return { model, report, got, error };
}

const valuesOf = async ({ model }: { model: Module }): Promise<unknown[]> =>
  Promise.all(model.parameters().map(async (t) => [...(await dequantize(t).data())]));

/** Zero points of none, of integers, of values. */
const SCHEMES = ['intx3-16', 'intx3-asym-16', 'int4wo-32', 'int8wo'] as const;

describe('autoRound', () => {
  it.each(SCHEMES)('%s: starts at the rounding of the scheme, which no step is worse than', async (name) => {
    const config = parseScheme(name);
    const nearest = await run(baseAlgorithm(config));
    const still = await run(autoRound(config, { iters: 1 }));
    expect(await valuesOf(still)).toEqual(await valuesOf(nearest));
    // steps across the whole range make nothing better, so the start is kept
    const wild = await run(autoRound(config, { iters: 3, lr: 50, minmaxLr: 50 }));
    expect(wild.error).toBeLessThan(1.2 * nearest.error);
  });

  it.each(SCHEMES.slice(0, 3))('%s: loses less than rounding to nearest', async (name) => {
    const config = parseScheme(name);
    const [nearest, learned] = [await run(baseAlgorithm(config)), await run(autoRound(config, fast))];
    expect(learned.report.rows.map((r) => r.scheme)).toEqual(nearest.report.rows.map((r) => r.scheme));
    expect(learned.report).toMatchObject({ algorithm: 'autoround', batches: 2 });
    expect(learned.error).toBeLessThan(0.85 * nearest.error);
  });

  it('gives the same where blocks are skipped and where the whole model runs', async () => {
    const config = parseScheme('intx3-16');
    const skipped = await run(autoRound(config, { iters: 8 }));
    const whole = await run(autoRound(config, { iters: 8 }), (x) => reshape(x, x.shape));
    expect(whole.got).toEqual(skipped.got);
  });

  it('rounds behind the scales of AWQ', async () => {
    const config: AoConfig = int4WeightOnly({ groupSize: 32 });
    const [scaled, both] = [await run(awq(config)), await run(awq(autoRound(config, fast)))];
    expect(both.report.algorithm).toBe('awq+autoround');
    expect(both.error).toBeLessThan(0.8 * scaled.error);
  });

  it('names what it refuses, before any work', async () => {
    const bare = await createRuntime({ use: [quantization()], device: 'reference' });
    const layer = new Linear(keep(tensor(bare, normal(64, 1), { shape: [4, 16] })));
    await expect(calibrate(layer, [], autoRound(parseScheme('int8wo')))).rejects.toThrow(/no autograd.*autograd\(\)/);
    await expect(run(autoRound(parseScheme('fp4_e2m1')))).rejects.toThrow(
      /layers\.0\.up_proj\.weight.*table of values/,
    );
    expect(() => autoRound(parseScheme('int8wo'), { iters: 0 })).toThrow(/iters is 0/);
  });
});
