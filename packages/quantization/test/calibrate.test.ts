// calibrate() on small models: layer by layer on any module, streamed data, what each algorithm gains, and what it refuses.
import {
  createRuntime,
  dequantize,
  getModule,
  int32,
  isWrapped,
  keep,
  Linear,
  linearExperts,
  Module,
  philox,
  RMSNorm,
  relu,
  reshape,
  type Tensor,
  tensor,
  unpackedOf,
  type Wrapped,
} from '@ao/core';
import { describe, expect, it } from 'vitest';
import {
  awq,
  baseAlgorithm,
  type CalibrationAlgorithm,
  calibrate,
  gptq,
  int4WeightOnly,
  int8StaticActivationInt8Weight,
  int8WeightOnly,
  intxWeightOnly,
  type ModelStructure,
  parseScheme,
  perGroup,
  rotate,
  smoothQuant,
} from '../src/index.ts';
import { devices } from './devices.ts';
import { wave } from './model.ts';

const { rt } = devices.at(-1)!;
const WIDTH = 64;

/** About normal, the same everywhere. */
const normal = (n: number, seed: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => philox(seed, i, 0).reduce((s, v) => s + v / 2 ** 32 - 0.5, 0) * 1.7);

const matrix = (_: unknown, rows: number, columns: number, seed: number): Tensor =>
  keep(
    tensor(
      rt,
      normal(rows * columns, seed).map((v) => v / Math.sqrt(columns)),
      { shape: [rows, columns] },
    ),
  );

class Layer extends Module {
  norm = new RMSNorm(
    keep(
      tensor(
        rt,
        wave(WIDTH, 5).map((v) => 1 + v),
      ),
    ),
    1e-5,
  );
  up_proj: Linear;
  down_proj: Linear;

  constructor(seed: number) {
    super();
    this.up_proj = new Linear(matrix(rt, 2 * WIDTH, WIDTH, seed));
    this.down_proj = new Linear(matrix(rt, WIDTH, 2 * WIDTH, seed + 1));
  }

  forward = (x: Tensor): Tensor => this.down_proj.call(relu(this.up_proj.call(this.norm.call(x))));
}

class Stack extends Module {
  layers = [new Layer(1), new Layer(3), new Layer(5)];
  head = new Linear(matrix(rt, 40, WIDTH, 9));
  /** Breaks the chain of blocks, so that passes run the whole model. */
  readonly #between: (x: Tensor) => Tensor;

  constructor(between: (x: Tensor) => Tensor = (x) => x) {
    super();
    this.#between = between;
  }

  forward = (x: Tensor): Tensor => {
    let h = x;
    for (const layer of this.layers) h = layer.call(this.#between(h));
    return this.head.call(h);
  };
}

const structure: ModelStructure = {
  folds: [0, 1, 2].flatMap((i) => [
    { readers: [`layers.${i}.up_proj`], norm: `layers.${i}.norm` },
    { readers: [`layers.${i}.down_proj`], linear: `layers.${i}.up_proj`, row: (c: number) => c },
  ]),
};

/** Inputs whose columns differ in size, so that there is something to gain. */
function batch(seed: number, rows = 96): Tensor {
  const values = normal(rows * WIDTH, seed).map((v, i) => v * (i % 16 === 0 ? 12 : 1));
  return keep(tensor(rt, values, { shape: [rows, WIDTH] }));
}

const config = intxWeightOnly({ weightDtype: 'int3', granularity: perGroup(32) });
const int4 = int4WeightOnly({ groupSize: 32 });
const data = [batch(11), batch(12), batch(13)];

async function outputError(algorithm: CalibrationAlgorithm, options = {}, between?: (x: Tensor) => Tensor) {
  const model = new Stack(between);
  const x = batch(14);
  const want = await model.call(x).data();
  const report = await calibrate(model, data, algorithm, options);
  const got = await model.call(x).data();
  const error = Float64Array.from(want, (v, i) => (Number(v) - Number(got[i])) ** 2).reduce((a, b) => a + b);
  return { model, report, error, got };
}

describe('calibrate', () => {
  it('beats rounding to nearest by every algorithm', async () => {
    const { error: nearest } = await outputError(baseAlgorithm(config));
    for (const algorithm of [gptq(config), gptq(config, { actOrder: true }), gptq(config, { sequential: true })]) {
      expect((await outputError(algorithm)).error).toBeLessThan(0.8 * nearest);
    }
    const { error: nearest4 } = await outputError(baseAlgorithm(int4));
    expect((await outputError(awq(int4))).error).toBeLessThan(nearest4);
    expect((await outputError(awq(config), { structure })).error).toBeLessThan(nearest);
    expect((await outputError(awq(gptq(config)), { structure })).error).toBeLessThan(0.8 * nearest);
  });

  it('gives the same weights where blocks are skipped and where the whole model runs', async () => {
    const skipped = await outputError(gptq(config));
    const whole = await outputError(gptq(config), {}, (x) => reshape(x, x.shape));
    expect(whole.got).toEqual(skipped.got);
  });

  it('reads a stream once, tells of each weight, and reports', async () => {
    let read = 0;
    async function* stream(): AsyncGenerator<Tensor> {
      for (const x of data) {
        read += 1;
        yield x;
      }
    }
    const seen: string[] = [];
    const report = await calibrate(new Stack(), stream(), gptq(config), {
      onProgress: ({ name, loaded, total }) => seen.push(`${loaded}/${total} ${name}`),
    });
    expect(read).toBe(3);
    expect(report).toMatchObject({ batches: 3, algorithm: 'gptq', dryRun: false });
    expect(seen).toHaveLength(7);
    expect(seen.at(-1)).toBe('7/7 head.weight');
    expect(report.rows.map((r) => r.scheme)).toEqual(Array(7).fill('intx3-sym-32'));
  });

  it('stops at a signal and leaves a model that works', async () => {
    const model = new Stack();
    const controller = new AbortController();
    const forward = model.layers[1]!.forward;
    const run = calibrate(model, data, gptq(config), {
      signal: controller.signal,
      onProgress: ({ loaded }) => loaded === 3 && controller.abort(),
    });
    await expect(run).rejects.toThrow(/abort/i);
    expect(model.layers[1]!.forward).toBe(forward);
    const kinds = model.parameters().map((t) => t.kind?.name);
    expect(kinds.filter((k) => k === 'intx')).toHaveLength(3);
    expect(kinds).not.toContain('observed');
    expect((await model.call(data[0]!).data()).every(Number.isFinite)).toBe(true);
  });

  it('folds scales into norms and linears where the structure is known, else keeps them with the weight', async () => {
    const folded = await outputError(awq(int4), { structure });
    const kept = await outputError(awq(int4));
    const names = (model: Module): string[] =>
      model.parameters().flatMap((t) => (isWrapped(t) ? Object.keys(t.parts) : []));
    expect(names(folded.model).filter((n) => n === 'act_pre_scale')).toHaveLength(1); // the head: nothing declares its input
    expect(names(kept.model).filter((n) => n === 'act_pre_scale')).toHaveLength(7);
    const notes = (await outputError(awq(config))).report.rows.map((r) => r.note);
    expect(notes[0]).toBe('not scaled: no structure to fold into, and intx3-sym-32 holds no scale');
  });

  it('smooths: what was hard to round in x moves into W', async () => {
    const dynamic = await outputError(smoothQuant(int4), { structure });
    expect(dynamic.report.algorithm).toBe('smoothquant');
    const norm = await (getModule(dynamic.model, 'layers.0.norm') as RMSNorm).weight.data();
    const plain = wave(WIDTH, 5).map((v) => 1 + v);
    expect(Math.max(...norm.map((v, i) => Math.abs(Number(v) / plain[i]! - 1)))).toBeGreaterThan(0.5);
  });

  it('names what it refuses', async () => {
    await expect(calibrate(new Stack(), [], gptq(config))).rejects.toThrow(/calibration data is empty/);
    const broken = batch(15);
    const values = (await broken.data()).map((v, i) => (i === 70 ? Number.NaN : Number(v)));
    const nan = keep(tensor(rt, Float32Array.from(values), { shape: [96, WIDTH] }));
    await expect(calibrate(new Stack(), [nan], gptq(config))).rejects.toThrow(
      /layers\.0\.up_proj.*NaN or infinity|NaN or infinity.*layers\.0\.up_proj/,
    );
    await expect(calibrate(new Stack(), [batch(16, 3)], gptq(config, { percdamp: 1e-30 }))).rejects.toThrow(
      /not positive definite.*layers\.0\.up_proj.*percdamp|layers\.0\.up_proj.*not positive definite.*percdamp/,
    );
    await expect(calibrate(new Stack(), data, rotate(config))).rejects.toThrow(/r1 needs a residual stream/);
    const bare = await createRuntime({});
    const layer = new Linear(keep(tensor(bare, wave(64 * 64, 1), { shape: [64, 64] })));
    await expect(calibrate(layer, [], gptq(config))).rejects.toThrow(/cannot observe.*quantization\(\)/);
    expect(() => gptq(config, { percdamp: 0 })).toThrow(/percdamp is 0/);
  });

  it('a weight that cannot have its scheme is an error before anything changes', async () => {
    const model = new Stack();
    const unscaled = int8StaticActivationInt8Weight();
    await expect(calibrate(model, data, gptq(unscaled))).rejects.toThrow(/7 weights cannot have their scheme/);
    expect(model.parameters().every((t) => t.kind === null)).toBe(true);
  });
});

describe('gptq', () => {
  const wide = (): Linear => {
    const values = normal(8 * 512, 3);
    // the largest values lie behind the first block of columns
    for (let n = 0; n < 8; n++) values[n * 512 + 400] = 9;
    return new Linear(keep(tensor(rt, values, { shape: [8, 512] })));
  };
  const wideData = [1, 2].map((seed) => keep(tensor(rt, normal(600 * 512, seed), { shape: [600, 512] })));

  it('int8 scales are those of whole rows', async () => {
    const layer = wide();
    await calibrate(layer, wideData, gptq(int8WeightOnly()));
    const { scale } = (unpackedOf(layer.weight) as Wrapped).parts;
    for (const s of await scale!.data()) expect(Number(s)).toBeCloseTo(9 / 127.5, 4);
    expect(Number((await dequantize(layer.weight).data())[400])).toBeCloseTo(9, 1);
  });

  // codes that are looked up: their grids are uneven, and kept
  it.each(['nf4wo', 'mxfp4wo', 'nvfp4wo', 'fp4_e2m1', 'float8wo-e5m2', 'uintx3wo-32', 'codebook3wo-32'])(
    '%s beats rounding to nearest on its own grid',
    async (scheme) => {
      const table = parseScheme(scheme);
      const run = async (algorithm: CalibrationAlgorithm) => {
        const layer = new Linear(matrix(rt, 64, WIDTH, 3));
        const [want, x] = [await layer.call(data[1]!).data(), data[1]!];
        await calibrate(layer, data, algorithm);
        const got = await layer.call(x).data();
        const error = Float64Array.from(want, (v, i) => (Number(v) - Number(got[i])) ** 2).reduce((a, b) => a + b);
        return { error, weight: unpackedOf(layer.weight) as Wrapped };
      };
      const [nearest, best] = [await run(baseAlgorithm(table)), await run(gptq(table))];
      expect(best.weight.kind.name).toBe(nearest.weight.kind.name);
      expect(best.error).toBeLessThan(0.95 * nearest.error);
    },
  );

  it('columns that the data never touched keep their weights', async () => {
    const layer = wide();
    const dead = await Promise.all(
      wideData.map(async (x) => {
        const values = Float32Array.from(await x.data()).map((v, i) => (i % 512 === 400 ? 0 : v));
        return keep(tensor(rt, values, { shape: [600, 512] }));
      }),
    );
    await calibrate(layer, dead, gptq(int8WeightOnly()));
    expect(Number((await dequantize(layer.weight).data())[400])).toBeCloseTo(9, 1);
  });
});

class Experts extends Module {
  experts = [1, 2, 3].map((seed) => new Linear(matrix(rt, WIDTH, WIDTH, seed)));

  /** Every other row goes to expert 0, the rest to expert 1; none to 2. */
  forward = (x: Tensor): Tensor => {
    const rows = x.shape[0]!;
    const index = tensor(
      rt,
      Int32Array.from({ length: rows }, (_, i) => i % 2),
      { shape: [rows, 1], dtype: int32 },
    );
    return linearExperts(
      reshape(x, [rows, 1, WIDTH]),
      this.experts.map((e) => e.weight),
      index,
    );
  };
}

describe('experts', () => {
  it('each sees the rows that are routed to it', async () => {
    const model = new Experts();
    const report = await calibrate(model, data, gptq(config));
    expect(report.rows.map((r) => r.note)).toEqual([
      undefined,
      undefined,
      'rounded to nearest: the calibration data does not reach it',
    ]);
    // the same weight alone on the same rows gives the same codes
    const alone = new Linear(matrix(rt, WIDTH, WIDTH, 2));
    const odd = await Promise.all(
      data.map(async (x) => {
        const values = Float32Array.from(await x.data()).filter((_, i) => Math.floor(i / WIDTH) % 2 === 1);
        return keep(tensor(rt, values, { shape: [48, WIDTH] }));
      }),
    );
    await calibrate(alone, odd, gptq(config));
    const [a, b] = [await dequantize(alone.weight).data(), await dequantize(model.experts[1]!.weight).data()];
    const differing = a.filter((v, i) => Math.abs(Number(v) - Number(b[i])) > 1e-6).length;
    expect(differing).toBeLessThan(0.02 * a.length);
  });
});
