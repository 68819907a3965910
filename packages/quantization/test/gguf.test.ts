// GGUF's types as a scheme: as good as the scalar quantizer of K-quants, on the grid that a super-block can store, in files and by name.
import {
  dequantize,
  keep,
  Linear,
  philox,
  replaceTensor,
  type Tensor,
  tensor,
  unpackedOf,
  type Wrapped,
} from '@ao/core';
import { describe, expect, it } from 'vitest';
import {
  configFromJson,
  configToJson,
  dequantizeKQuant,
  type GgufFormat,
  ggufFromHp,
  ggufWeightOnly,
  K_QUANTS,
  type KQuantName,
  parseScheme,
  quantize_,
  quantizeKQuant,
  schemeName,
} from '../src/index.ts';
import { devices } from './devices.ts';

const [N, K] = [6, 512];
/** Rows of different size; one of zeros, one of a single value, one that is positive. */
const values = Float32Array.from({ length: N * K }, (_, i) => {
  const row = Math.floor(i / K);
  const v = philox(7, i, 0).reduce((s, w) => s + w / 2 ** 32 - 0.5, 0) * 1.7;
  return row === 0 ? 0 : row === 1 ? -0.25 : row === 2 ? Math.abs(v) + 1 : v * row;
});
const K_FORMATS = Object.keys(K_QUANTS) as KQuantName[];
const FORMATS: readonly GgufFormat[] = [...K_FORMATS, 'q4_0', 'q8_0'];

const errorOf = (got: ArrayLike<number>): number =>
  Math.sqrt(values.reduce((sum, v, i) => sum + (v - (got[i] as number)) ** 2, 0));
const numbers = async (t: Tensor): Promise<Float32Array> => Float32Array.from(await t.data(), Number);

describe.each(devices)('ggufFromHp on $device', ({ rt }) => {
  it.each(K_FORMATS)('%s loses what the scalar quantizer loses', async (format) => {
    const made = ggufFromHp(tensor(rt, values, { shape: [N, K] }), format) as Wrapped;
    const got = await numbers(dequantize(made));
    const want = dequantizeKQuant(quantizeKQuant(values, format));
    expect(errorOf(got)).toBeLessThan(1.005 * errorOf(want));
    expect(errorOf(got)).toBeGreaterThan(0.995 * errorOf(want));
    expect(got.slice(0, K).every((v) => v === 0)).toBe(true);
    // rounding of sums moves few of them
    const moved = got.filter((v, i) => Math.abs(v - (want[i] as number)) > 1e-5).length;
    expect(moved).toBeLessThan(0.08 * values.length);
    // scales are whole numbers times a float16
    const { block, scaleBits } = K_QUANTS[format];
    const scale = await numbers(made.parts['scale'] as Tensor);
    const turned = made.kind.name === 'int4';
    const groups = K / block;
    const at = (n: number, g: number): number => scale[turned ? g * N + n : n * groups + g] as number;
    for (let n = 3; n < N; n++) {
      for (let s = 0; s < groups; s += 256 / block) {
        const own = Array.from({ length: 256 / block }, (_, b) => at(n, s + b));
        const peak = own.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a));
        const top = K_QUANTS[format].minima ? 2 ** scaleBits - 1 : -(2 ** (scaleBits - 1));
        const off = Math.max(...own.map((v) => Math.abs((v / peak) * top - Math.round((v / peak) * top))));
        expect(off).toBeLessThan(1e-3);
      }
    }
  });
});

describe('ggufWeightOnly', () => {
  const { rt } = devices.at(-1)!;

  it.each(FORMATS)('%s in a layer: report, and products of the packed weight', async (format) => {
    const layer = new Linear(keep(tensor(rt, values, { shape: [N, K] })));
    const x = tensor(rt, values.subarray(3 * K, 5 * K), { shape: [2, K] });
    const report = await quantize_(layer, ggufWeightOnly({ format }));
    expect(report.rows[0]).toMatchObject({ scheme: `gguf-${format}` });
    const w = await numbers(dequantize(unpackedOf(layer.weight)));
    const y = await numbers(layer.call(x));
    const want = Array.from({ length: 2 * N }, (_, i) => {
      const [m, n] = [Math.floor(i / N), i % N];
      return Array.from({ length: K }, (_, k) => values[(3 + m) * K + k]! * w[n * K + k]!).reduce((a, b) => a + b, 0);
    });
    const worst = Math.max(...want.map((v, i) => Math.abs((y[i] as number) - v) / (1 + Math.abs(v))));
    expect(worst).toBeLessThan(1e-3);
    // blocks of 32 with one scale: as good as their codes allow
    const bits = Number(format[1]);
    expect(errorOf(w) / errorOf(new Float32Array(values.length))).toBeLessThan(1.4 * 2 ** -bits);
  });

  it('columns that no super-block fits are an error that names what fits', async () => {
    const layer = new Linear(keep(tensor(rt, values.subarray(0, 4 * 96), { shape: [4, 96] })));
    await expect(quantize_(layer, ggufWeightOnly())).rejects.toThrow(/96 columns.*256.*q8_0/);
    await expect(quantize_(layer, ggufWeightOnly({ dtype: 'uint4', nBlocksPerSuperblock: 4 }))).rejects.toThrow(
      /no K-quant of uint4 with 4 blocks/,
    );
    replaceTensor(layer, layer.weight, keep(tensor(rt, values.subarray(0, 4 * 96), { shape: [4, 96] })));
    await quantize_(layer, ggufWeightOnly({ format: 'q8_0' }));
    expect(layer.weight.kind?.name ?? 'packed').toMatch(/int8|packed/);
  });
});

describe('names of GGUF types', () => {
  it.each(FORMATS)('%s: by name and through JSON', (format) => {
    const config = ggufWeightOnly({ format });
    expect(parseScheme(`gguf-${format}`)).toEqual(config);
    expect(schemeName(config)).toBe(`gguf-${format}`);
    expect(configFromJson(configToJson(config))).toEqual(config);
  });

  it("torchao's fields name K-quants", () => {
    expect(ggufWeightOnly()).toEqual(ggufWeightOnly({ format: 'q4_K' }));
    expect(ggufWeightOnly({ dtype: 'uint6', nBlocksPerSuperblock: 16 })).toEqual(ggufWeightOnly({ format: 'q6_K' }));
    expect(() => ggufWeightOnly({ format: 'q4_K', dtype: 'uint4' })).toThrow(/give either/);
  });
});
