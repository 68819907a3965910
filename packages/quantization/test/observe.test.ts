// Observers against torchao's (golden/observers.py), and static activations from data: prepare, run, convert.
import { readFileSync } from 'node:fs';
import {
  bytesSink,
  bytesSource,
  cast,
  float8_e4m3fn,
  float32,
  int32,
  keep,
  Linear,
  linear,
  Module,
  type Tensor,
  tensor,
} from '@ao/core';
import { describe, expect, it } from 'vitest';
import {
  AffineQuantizedMinMaxObserver,
  AffineQuantizedMSEObserver,
  computeError,
  configToJson,
  type Float8Tensor,
  float8StaticActivationFloat8Weight,
  HistogramObserver,
  type Int8Tensor,
  int8StaticActivationInt8Weight,
  int8WeightOnly,
  type ObserverOptions,
  observe,
  perAxis,
  perRow,
  perTensor,
  quantize_,
  readStateDict,
  staticRules,
  writeStateDict,
} from '../src/index.ts';
import { devices } from './devices.ts';
import { Mlp, matrix, wave } from './model.ts';

interface Golden {
  readonly shape: number[];
  readonly batches: number[][];
  readonly cases: readonly {
    readonly observer: 'minmax' | 'mse';
    readonly mapping: ObserverOptions['mappingType'];
    readonly granularity: 'PerTensor' | 'PerRow' | 'PerAxis';
    readonly batches: number;
    readonly target: string;
    readonly limits: { quant_min?: number; quant_max?: number };
    readonly scale: number[];
    readonly zero: number[];
  }[];
}
const golden = JSON.parse(readFileSync(new URL('golden/observers.json', import.meta.url), 'utf8')) as Golden;
const GRANULARITY = { PerTensor: perTensor(), PerRow: perRow(), PerAxis: perAxis(1) };
const OBSERVER = { minmax: AffineQuantizedMinMaxObserver, mse: AffineQuantizedMSEObserver };
const SYMMETRIC: ObserverOptions = { mappingType: 'SYMMETRIC', targetDtype: 'int8', granularity: perTensor() };
const numbers = async (t: Tensor): Promise<number[]> => Array.from(await t.data(), Number);
const config = int8StaticActivationInt8Weight({ granularity: [perTensor(), perRow()] });

describe.each(devices)('on $device', ({ rt, device }) => {
  const batch = (values: number[] | Float32Array, shape: readonly number[]): Tensor =>
    keep(tensor(rt, Float32Array.from(values), { shape, dtype: float32, device }));
  const batches = (n: number, outlier = 0): Tensor[] =>
    Array.from({ length: n }, (_, i) => {
      const x = wave(8 * 64, i);
      if (i === 0) x[9] = outlier || (x[9] as number);
      return batch(x, [8, 64]);
    });
  const mlp = (): Mlp => new Mlp(rt, 64, 96);

  it.each(golden.cases)('$observer $mapping $granularity of $batches, $target $limits', async (c) => {
    const { quant_min: quantMin, quant_max: quantMax } = c.limits;
    const observer = new OBSERVER[c.observer]({
      mappingType: c.mapping,
      targetDtype: c.target,
      granularity: GRANULARITY[c.granularity],
      ...(quantMin !== undefined && quantMax !== undefined && { quantMin, quantMax }),
    });
    for (const values of golden.batches.slice(0, c.batches)) observer.forward(batch(values, golden.shape));
    const [scale, zero] = observer.calculateQparams();
    expect(await numbers(scale)).toEqual(c.scale);
    if (c.target === 'int8') expect(await numbers(zero)).toEqual(c.zero);
    observer.dispose();
  });

  it('a histogram clips what rounds the rest worse, whatever the order of batches, and keeps all of evenly spread data', async () => {
    const errorOf = async (
      make: (o: ObserverOptions) => AffineQuantizedMinMaxObserver | HistogramObserver,
      data: Tensor[],
    ) => {
      const observer = make(SYMMETRIC);
      for (const x of data) {
        observer.forward(x);
        await observer.settle();
      }
      const [scale] = observer.calculateQparams();
      const [s] = (await numbers(scale)) as [number];
      let loss = 0;
      for (const x of data)
        for (const v of await numbers(x)) loss += (Math.min(Math.max(Math.round(v / s), -128), 127) * s - v) ** 2;
      observer.dispose();
      return { s, loss };
    };
    const data = batches(5, 4);
    const minmax = await errorOf((o) => new AffineQuantizedMinMaxObserver(o), data);
    const histogram = await errorOf((o) => new HistogramObserver(o), data);
    const reversed = await errorOf((o) => new HistogramObserver(o), [...data].reverse());
    // one value of 4 among 2560 below 0.3
    expect(minmax.s).toBeCloseTo(4 / 127.5, 6);
    expect(histogram.s).toBeLessThan(minmax.s);
    expect(histogram.loss).toBeLessThan(minmax.loss);
    expect(reversed.s / histogram.s).toBeCloseTo(1, 1);
    const even = batch(
      Float32Array.from({ length: 512 }, (_, i) => i / 256 - 1),
      [8, 64],
    );
    expect((await errorOf((o) => new HistogramObserver(o), [even])).s).toBeCloseTo(1 / 127.5, 3);
    const asymmetric = new HistogramObserver({ ...SYMMETRIC, mappingType: 'ASYMMETRIC' });
    asymmetric.forward(
      batch(
        Float32Array.from({ length: 512 }, (_, i) => i / 512),
        [512],
      ),
    );
    await asymmetric.settle();
    const [scale, zero] = asymmetric.calculateQparams();
    expect(await numbers(scale)).toEqual([expect.closeTo(1 / 255, 3)]);
    expect(await numbers(zero)).toEqual([-128]);
  });

  it('observe gives each weight its scale, and static layers are as close as dynamic ones', async () => {
    const model = mlp();
    const data = batches(4);
    const x = data[0] as Tensor;
    const exact = model.call(x);
    const seen: number[] = [];
    const stream = async function* () {
      yield* data;
    };
    const observed = await observe(model, stream(), config, { onProgress: ({ loaded }) => seen.push(loaded) });
    expect(seen).toEqual([1, 2, 3, 4]);
    expect([...observed.keys()]).toEqual(['up_proj.weight', 'down_proj.weight']);
    const top = Math.max(...(await Promise.all(data.map(numbers))).flat().map(Math.abs));
    expect(observed.get('up_proj.weight')?.scale).toEqual([[Math.fround(top / 127.5)]]);
    // nothing is left of the observers
    expect(await numbers(model.call(x))).toEqual(await numbers(exact));
    const report = await quantize_(model, staticRules(observed));
    expect(report.rows.map((r) => r.activation)).toEqual(['int8-static', 'int8-static']);
    expect(await computeError(exact, model.call(x))).toBeGreaterThan(30);
  });

  it('prepare, run, convert', async () => {
    for (const mapping of ['SYMMETRIC', 'ASYMMETRIC'] as const) {
      const options = { granularity: [perTensor(), perRow()] as const, actMappingType: mapping };
      const [flow, direct] = [mlp(), mlp()];
      const data = batches(3);
      const prepared = await quantize_(flow, int8StaticActivationInt8Weight({ ...options, step: 'prepare' }));
      expect(prepared.rows.map((r) => r.skipped)).toEqual(Array(2).fill('observed until step: convert'));
      const before = await numbers(direct.call(data[0] as Tensor));
      for (const x of data) expect((await numbers(flow.call(x))).length).toBe(8 * 64);
      expect(await numbers(flow.call(data[0] as Tensor))).toEqual(before);
      await quantize_(flow, int8StaticActivationInt8Weight({ ...options, step: 'convert' }));
      await quantize_(direct, staticRules(await observe(direct, data, int8StaticActivationInt8Weight(options))));
      const x = data[1] as Tensor;
      expect(await numbers(flow.call(x))).toEqual(await numbers(direct.call(x)));
      const weight = flow.up_proj.weight as Int8Tensor;
      expect(weight.act_quant_zero_point === undefined).toBe(mapping === 'SYMMETRIC');
    }
  });

  it('float8: prepare, run, convert, saved and loaded; outputs are rounded where the config says so', async () => {
    const E4M3_MAX = 448;
    for (const quantizeAndDequantizeOutput of [false, true]) {
      const step = (name: 'prepare' | 'convert') =>
        float8StaticActivationFloat8Weight({ step: name, quantizeAndDequantizeOutput });
      const [model, data] = [mlp(), batches(3)];
      const x = data[1] as Tensor;
      const exact = await model.up_proj.call(x).data();
      await quantize_(model, step('prepare'));
      for (const batch of data) await model.call(batch).data();
      const [inputs, outputs] = [
        await Promise.all(data.map(numbers)),
        await Promise.all(data.map((d) => numbers(model.up_proj.call(d)))),
      ];
      const report = await quantize_(model, step('convert'));
      expect(report.rows.map((r) => [r.scheme, r.activation])).toEqual(
        Array(2).fill(['float8static', 'float8-static']),
      );
      const weight = model.up_proj.weight as Float8Tensor;
      const top = (all: number[][]): number => Math.fround(Math.max(...all.flat().map(Math.abs)) / E4M3_MAX);
      expect(await numbers(weight.act_quant_scale!)).toEqual([top(inputs)]);
      const rounded = weight.output_act_quant_scale;
      expect(rounded === undefined ? undefined : await numbers(rounded)).toEqual(
        quantizeAndDequantizeOutput ? [top(outputs)] : undefined,
      );
      const y = model.up_proj.call(x);
      const got = await numbers(y);
      if (rounded !== undefined) {
        const codes = got.map((v) => Math.fround(v / top(outputs)));
        for (const code of codes) expect(float8_e4m3fn.decode(float8_e4m3fn.encode(code))).toBeCloseTo(code, 4);
      }
      expect(await computeError(tensor(rt, exact as Float32Array, { shape: y.shape, device }), y)).toBeGreaterThan(25);
      const direct = mlp();
      await quantize_(
        direct,
        float8StaticActivationFloat8Weight({
          actQuantScale: [[top(inputs)]],
          ...(quantizeAndDequantizeOutput && { quantizeAndDequantizeOutput, outputActQuantScale: [[top(outputs)]] }),
        }),
        { rules: [['down_proj', null]] },
      );
      expect(got).toEqual(await numbers(direct.up_proj.call(x)));
      const sink = bytesSink();
      await writeStateDict(new Map(model.namedParameters()), sink);
      const loaded = (await readStateDict(rt, bytesSource(sink.bytes()), { device })).get('up_proj.weight') as Tensor;
      expect(await numbers(linear(x, loaded, model.up_proj.bias))).toEqual(got);
    }
  });

  it('per-row scales are for batches of one shape', async () => {
    const rows = int8StaticActivationInt8Weight();
    const [model, x] = [mlp(), batches(1)[0] as Tensor];
    const observed = await observe(model, [x], rows);
    expect(observed.get('up_proj.weight')?.scale).toHaveLength(8);
    const exact = model.call(x);
    await quantize_(model, staticRules(observed));
    expect(await computeError(exact, model.call(x))).toBeGreaterThan(30);
    const short = batch(wave(64, 1), [1, 64]);
    await expect(observe(mlp(), [x, short], rows)).rejects.toThrow(
      /ranges of \[8,1\] blocks met data of \[1,1\].*perTensor/s,
    );
  });

  it('what no data reaches, NaN, zeros, nothing at all, and an abort are errors that leave the model as it was', async () => {
    class Half extends Module {
      used: Linear;
      idle: Linear;
      constructor() {
        super();
        this.used = new Linear(matrix(rt, 64, 64, 1));
        this.idle = new Linear(matrix(rt, 64, 64, 2));
      }
      forward = (x: Tensor): Tensor => linear(x, this.used.weight);
    }
    const half = new Half();
    const plain = half.used.weight;
    const data = batches(2);
    await expect(observe(half, data, config)).rejects.toThrow(/idle: its input met no data/);
    expect(half.used.weight).toBe(plain);
    expect((await observe(half, data, config, { rules: [['idle', null]] })).size).toBe(1);
    const nan = wave(512, 0);
    nan[7] = Number.NaN;
    const bad = (values: Float32Array) => observe(mlp(), [batch(values, [8, 64])], config);
    await expect(bad(nan)).rejects.toThrow(/up_proj: its input holds NaN or infinity/);
    await expect(
      observe(mlp(), [batch(nan, [8, 64])], config, { observer: (o) => new HistogramObserver(o) }),
    ).rejects.toThrow(/up_proj: its input holds NaN/);
    await expect(bad(new Float32Array(512))).rejects.toThrow(/up_proj: its input was 0 throughout/);
    await expect(observe(mlp(), [], config)).rejects.toThrow(/no batch/);
    await expect(observe(mlp(), data, int8WeightOnly())).rejects.toThrow(
      /no weight is selected by a config with static/,
    );
    const controller = new AbortController();
    const stopped = observe(half, data, config, {
      rules: [['idle', null]],
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(stopped).rejects.toThrow(/abort/i);
    expect(half.used.weight).toBe(plain);
    await expect(quantize_(mlp(), int8StaticActivationInt8Weight({ step: 'convert' }))).rejects.toThrow(
      /no weight of the model is observed/,
    );
    expect(new AffineQuantizedMinMaxObserver(SYMMETRIC).calculateQparams).toThrow();
  });

  it('16-bit and integer inputs: floats are widened, empty ones count for nothing', async () => {
    const observer = new AffineQuantizedMinMaxObserver(SYMMETRIC);
    observer.forward(batch([], [0, 64]));
    expect(() => observer.calculateQparams()).toThrow(/has seen no data/);
    observer.forward(cast(batch([1, -2], [1, 2]), int32));
    expect(await numbers(observer.calculateQparams()[0])).toEqual([Math.fround(2 / 127.5)]);
  });
});

it('the step is part of the JSON, beside what torchao reads', () => {
  expect(configToJson(config)).not.toContain('step');
  expect(configToJson(int8StaticActivationInt8Weight({ step: 'prepare' }))).toContain('"ao": {"step": "prepare"}');
});
