// analyze against its definitions, computed here from whole models that are quantized one layer at a time.
import { answer, createRuntime, dequantize, int32, linear, type Tensor, tensor } from '@ao/core';
import { describe, expect, it } from 'vitest';
import {
  analysisFromJson,
  analysisToJson,
  analyze,
  computeError,
  formatAnalysis,
  fqnToConfig,
  int4WeightOnly,
  int8DynamicActivationInt8Weight,
  int8WeightOnly,
  mix,
  planTensor,
  planTrait,
  quantization,
  quantize_,
  quantizeTensor,
  type WeightInfo,
} from '../src/index.ts';
import { devices } from './devices.ts';
import { Model } from './model.ts';

const CANDIDATES = [int8WeightOnly(), int4WeightOnly({ groupSize: 32 }), int8DynamicActivationInt8Weight()];
const logSoftmax = (row: Float32Array): number[] => {
  const max = Math.max(...row);
  const log = Math.log(row.reduce((n, x) => n + Math.exp(x - max), 0));
  return [...row].map((x) => x - max - log);
};

describe.each(devices)('analyze on $device', ({ rt }) => {
  const ids = (seed: number): Tensor =>
    tensor(
      rt,
      Int32Array.from({ length: 6 }, (_, i) => (i * 7 + seed) % 40),
      { shape: [1, 6], dtype: int32 },
    );

  it('SQNR and KL are those of the definitions', async () => {
    const model = new Model(rt);
    const data = [ids(1), ids(5)];
    const before = await model.call(data[0] as Tensor).data();
    const weights = model.parameters();
    const analysis = await analyze(model, data, { candidates: CANDIDATES });
    // as it was: the same tensors, the same numbers
    expect(model.parameters()).toEqual(weights);
    expect(await model.call(data[0] as Tensor).data()).toEqual(before);
    expect(analysis.positions).toBe(12);
    expect(analysis.layers.map((l) => [l.fqn, ...l.tied])).toEqual([
      ['embed_tokens.weight', 'lm_head.weight'],
      ['layers.0.up_proj.weight'],
      ['layers.0.down_proj.weight'],
      ['layers.1.up_proj.weight'],
      ['layers.1.down_proj.weight'],
    ]);
    const layer = analysis.layers[2];
    expect(layer?.candidates.map((c) => c.scheme)).toEqual(['int8wo', 'int4wo-32', 'int8dq']);
    for (const c of layer?.candidates ?? []) {
      const other = new Model(rt);
      const w = other.layers[0]?.down_proj.weight as Tensor;
      const q = quantizeTensor(w, c.config);
      expect(c.weightSqnr).toBeCloseTo(await computeError(w, dequantize(q)), 3);
      let kl = 0;
      const report = await quantize_(other, fqnToConfig({ 'layers.0.down_proj': c.config, _default: null }));
      expect(report.rows.filter((r) => r.scheme !== null)).toHaveLength(1);
      for (const batch of data) {
        const [p, r] = [await model.call(batch).data(), await other.call(batch).data()] as Float32Array[];
        for (let at = 0; at < 6 * 40; at += 40) {
          const [a, b] = [p, r].map((x) => logSoftmax((x as Float32Array).subarray(at, at + 40))) as [
            number[],
            number[],
          ];
          kl += a.reduce((n, x, i) => n + Math.exp(x) * (x - (b[i] as number)), 0);
        }
      }
      expect(c.kl as number).toBeGreaterThan(0);
      expect(Math.abs((c.kl as number) / (kl / 12) - 1)).toBeLessThan(0.02);
      other.dispose();
    }
    model.dispose();
  });

  it('output SQNR is of all that the layer meets, activations as the scheme has them', async () => {
    const model = new Model(rt);
    const analysis = await analyze(model, [ids(1), ids(2)], { candidates: CANDIDATES, kl: 'none' });
    expect(analysis.positions).toBe(0);
    const w = model.layers[0]?.up_proj.weight as Tensor;
    for (const c of analysis.layers[1]?.candidates ?? []) {
      const q = quantizeTensor(w, c.config);
      let [signal, noise] = [0, 0];
      for (const batch of [ids(1), ids(2)]) {
        const x = model.embed_tokens.call(batch);
        const [y, z] = [await linear(x, w).data(), await linear(x, q).data()];
        y.forEach((v, i) => {
          signal += Number(v) ** 2;
          noise += (Number(v) - Number(z[i])) ** 2;
        });
      }
      expect(c.outputSqnr as number).toBeCloseTo(10 * Math.log10(signal / noise), 1);
      expect(c.kl).toBeNull();
    }
    model.dispose();
  });

  it("kl 'one' measures the coarsest and scales the others by their noise", async () => {
    const model = new Model(rt);
    const all = await analyze(model, [ids(3)], { candidates: CANDIDATES });
    const one = await analyze(model, [ids(3)], { candidates: CANDIDATES, kl: 'one' });
    for (const [i, layer] of one.layers.entries()) {
      const measured = layer.candidates.filter((c) => c.klScaled === undefined);
      expect(measured.map((c) => c.scheme)).toEqual(['int4wo-32']);
      expect(measured[0]?.kl).toBe(all.layers[i]?.candidates[1]?.kl);
      const [int8, int4] = [layer.candidates[0], layer.candidates[1]] as const;
      const drop = (int8?.outputSqnr as number) - (int4?.outputSqnr as number);
      expect((int4?.kl as number) / (int8?.kl as number)).toBeCloseTo(10 ** (drop / 10), 3);
    }
    model.dispose();
  });
});

const { rt } = devices[0] as (typeof devices)[number];

it('without data there is weight SQNR alone; what does not fit is told, and an error where nothing does', async () => {
  // quantizes weights of 96 columns only
  const picky = { type: 'Picky' } as const;
  const answers = answer(planTrait, { type: 'Picky' }, (_: typeof picky, info: WeightInfo) =>
    info.shape[1] === 96
      ? planTensor(rt, int8WeightOnly(), info)
      : { problem: `${info.shape[1]} columns`, fix: 'give 96' },
  );
  const own = await createRuntime({ use: [quantization(), { name: 'picky', entries: [answers] }] });
  const other = new Model(own);
  const analysis = await analyze(other, [], { candidates: [int8WeightOnly(), picky] });
  const up = analysis.layers.find((l) => l.fqn === 'layers.0.up_proj.weight');
  expect(up?.candidates).toMatchObject([{ scheme: 'int8wo', outputSqnr: null, kl: null }]);
  expect(up?.problems).toEqual({ Picky: '64 columns; give 96' });
  expect(analysis.layers.find((l) => l.fqn === 'layers.0.down_proj.weight')?.candidates).toHaveLength(2);
  const ups = { candidates: [picky], filterFn: (_: unknown, fqn: string) => fqn.endsWith('up_proj') };
  await expect(analyze(other, [], ups)).rejects.toThrow(/no layer can have any candidate \(Picky: 64 columns/);
  other.dispose();
  await own.close();
});

it('the JSON gives the analysis back, the text names every layer', async () => {
  const model = new Model(rt);
  const ids = tensor(rt, Int32Array.from([1, 2, 3]), { shape: [1, 3], dtype: int32 });
  const analysis = await analyze(model, [ids], { candidates: CANDIDATES });
  const json = JSON.stringify(analysisToJson(analysis));
  expect(analysisFromJson(JSON.parse(json))).toEqual(analysis);
  expect(() => analysisFromJson({ layers: [] })).toThrow(/no analysis/);
  const text = formatAnalysis(analysis);
  for (const { fqn } of analysis.layers) expect(text).toContain(fqn.replace(/\.weight$/, ''));
  expect(text).toMatch(/int4wo-32: KL [\d.e-]+ nats over 5 layers/);
  expect(text).toMatch(/int4wo-32 hurts most in/);
  model.dispose();
});

describe('mix', () => {
  const choice = (value: string, bytes: number, cost: number) => ({ value, bytes, cost });

  it('is the best of all combinations where every step fits the budget', () => {
    const layers = [
      [choice('a2', 2, 9), choice('a4', 4, 3), choice('a8', 8, 1)],
      [choice('b2', 2, 4), choice('b4', 4, 1), choice('b8', 8, 0)],
      [choice('c4', 4, 100), choice('c8', 8, 0), choice('c6', 6, 80)],
    ];
    const all = (layers[0] ?? []).flatMap((a) =>
      (layers[1] ?? []).flatMap((b) => (layers[2] ?? []).map((c) => [a, b, c])),
    );
    for (const budget of [8, 12, 14, 16, 20, 24]) {
      const found = mix(layers, budget);
      const fit = all.map((x) => ({
        bytes: x.reduce((n, c) => n + c.bytes, 0),
        cost: x.reduce((n, c) => n + c.cost, 0),
      }));
      const best = Math.min(...fit.filter((x) => x.bytes <= budget).map((x) => x.cost));
      expect([budget, found.cost]).toEqual([budget, best]);
      expect(found.bytes).toBeLessThanOrEqual(budget);
    }
  });

  it('never takes what costs more for more bytes, and gives the smallest where nothing fits', () => {
    const layers = [[choice('small', 4, 1), choice('worse', 6, 2), choice('same', 4, 5)]];
    expect(mix(layers, 100).chosen.map((c) => c.value)).toEqual(['small']);
    expect(mix(layers, 1)).toMatchObject({ bytes: 4 });
  });
});
