// Schemes of small floats, tables and unsigned codes on every device: copies and slices, packed forms, short last groups, zeros,
// files, models captured and replayed.
import {
  bytesSink,
  bytesSource,
  cast,
  clone,
  type Dense,
  dequantize,
  embedding,
  int32,
  linear,
  linearWeight,
  type Runtime,
  scope,
  slice,
  stateDict,
  type Tensor,
  tensor,
  type Wrapped,
} from '@ao/core';
import { describe, expect, it } from 'vitest';
import {
  type AoConfig,
  computeError,
  flattenTensorStateDict,
  float8StaticActivationFloat8Weight,
  parseScheme,
  planTensor,
  quantize_,
  quantizeTensor,
  readStateDict,
  schemeName,
  writeStateDict,
} from '../src/index.ts';
import { devices } from './devices.ts';
import { Model, matrix, wave } from './model.ts';

interface Case {
  readonly config: AoConfig;
  /** SQNR of a wave's weight, dB, below what was seen by a tenth. */
  readonly least: number;
  /** Multiples at which columns may be cut; 0: not at all. */
  readonly columns: number;
  readonly rows?: number;
  /** Activations are rounded too. */
  readonly dynamic?: boolean;
  /** A group that may be short; its columns are quantized as if they stood alone. */
  readonly group?: number;
}

const cases: readonly (readonly [name: string, c: Case])[] = (
  [
    ['float8wo', { least: 29, columns: 1 }],
    ['float8wo-e5m2', { least: 23, columns: 1 }],
    ['float8wo-tensor', { least: 29, columns: 1 }],
    ['float8wo-32', { least: 29, columns: 32, group: 32 }],
    ['float8wo-8x32', { least: 29, columns: 32, rows: 8, group: 32 }],
    ['float8dq', { least: 29, columns: 1, dynamic: true }],
    ['float8dq-row', { least: 29, columns: 1, dynamic: true }],
    ['float8dq-8x32', { least: 29, columns: 32, rows: 8, dynamic: true, group: 32 }],
    ['mxfp8wo', { least: 28, columns: 32, group: 32 }],
    ['mxfp8-e5m2wo', { least: 22, columns: 32, group: 32 }],
    ['mxfp6-e2m3wo-floor', { least: 28, columns: 32, group: 32 }],
    ['mxfp6-e3m2wo', { least: 22, columns: 32, group: 32 }],
    ['mxfp4wo-even', { least: 16, columns: 32, group: 32 }],
    ['mxfp8dq', { least: 28, columns: 32, dynamic: true, group: 32 }],
    ['mxfp4dq-ceil', { least: 14, columns: 32, dynamic: true, group: 32 }],
    ['nvfp4wo', { least: 17, columns: 16 }],
    ['nvfp4wo-single', { least: 17, columns: 16, group: 16 }],
    ['nvfp4dq', { least: 17, columns: 16, dynamic: true }],
    ['nf4wo', { least: 17, columns: 0 }],
    ['nf4wo-32', { least: 17, columns: 0 }],
    ['fp3_e1m1', { least: 8, columns: 1 }],
    ['fp4_e3m0', { least: 11, columns: 1 }],
    ['fp6_e3m2', { least: 23, columns: 1 }],
    ['fp8_e2m5', { least: 40, columns: 1 }],
    ['uint3wo-32', { least: 14, columns: 32, group: 32 }],
    ['uint4wo-hqq-32', { least: 20, columns: 32, group: 32 }],
    ['uintx4wo-32', { least: 20, columns: 32, group: 32 }],
    ['uintx8wo-row', { least: 38, columns: 1 }],
    ['codebook3wo', { least: 12, columns: 1 }],
    ['codebook4wo-32', { least: 18, columns: 32 }],
    ['lut4wo-2r', { least: 18, columns: 1, rows: 2 }],
    ['lut2wo-16c', { least: 8, columns: 16 }],
  ] as const
).map(([name, c]) => [name, { ...c, config: parseScheme(name) }]);

const values = async (t: Tensor): Promise<number[]> => Array.from(await t.data());
const make = (rt: Runtime, rows: number, columns: number, config: AoConfig): Wrapped =>
  quantizeTensor(matrix(rt, rows, columns, 1), config) as Wrapped;

async function written(dict: ReadonlyMap<string, Tensor>): Promise<Uint8Array> {
  const sink = bytesSink();
  await writeStateDict(dict, sink);
  return sink.bytes();
}

it('names say what configs are', () => {
  for (const [name, { config }] of cases) expect(parseScheme(schemeName(config)), name).toEqual(config);
});

describe.each(devices)('on $device', ({ rt, device }) => {
  it.each(cases)('%s: values, copies and slices', async (_name, { config, least, columns, rows = 1 }) => {
    const plain = matrix(rt, 16, 128, 1);
    const w = quantizeTensor(plain, config);
    expect(await computeError(plain, w)).toBeGreaterThan(least);
    expect(await values(clone(w))).toEqual(await values(w));
    const dense = dequantize(w);
    expect(await values(slice(w, 0, rows === 8 ? 8 : 4, 16))).toEqual(
      await values(slice(dense, 0, rows === 8 ? 8 : 4, 16)),
    );
    if (columns > 0) expect(await values(slice(w, 1, 32, 96))).toEqual(await values(slice(dense, 1, 32, 96)));
    if (columns > 1) expect(() => slice(w, 1, 0, columns + 1)).toThrow(`blocks of ${columns}`);
    if (rows > 1) expect(() => slice(w, 0, 0, rows + 1)).toThrow(`blocks of ${rows}`);
    const part = slice(w, 0, -8);
    w.dispose();
    expect(await values(part)).toHaveLength(8 * 128);
  });

  it.each(cases)('%s: linear and embedding follow the values', async (_name, { config, dynamic }) => {
    const w = make(rt, 16, 128, config);
    const x = tensor(rt, wave(2 * 3 * 128, 7), { shape: [2, 3, 128] });
    const y = linear(x, w);
    expect(y.shape).toEqual([2, 3, 16]);
    const exact = linear(x, dequantize(w));
    if (dynamic !== true) expect(await values(y)).toEqual(await values(exact));
    else expect(await computeError(exact, y)).toBeGreaterThan(14);
    const ids = tensor(rt, [[3, 0, 15]], { dtype: int32 });
    const rows = await computeError(embedding(dequantize(w), ids), embedding(w, ids));
    expect(rows).toBeGreaterThan(120);
  });

  it.each(cases)('%s: codes and tables stand for the same values, and give the parts back', async (_name, c) => {
    const w = make(rt, 16, 128, c.config);
    const parts = w.kind.spec.weight?.(w as never) ?? null;
    if (parts === null) {
      expect(c.dynamic === true || w.kind.name === 'codebook').toBe(true);
      return;
    }
    for (const [name, t] of Object.entries(w.kind.fromWeight(parts, w))) {
      const want = w.parts[name] as Dense;
      expect([name, t.shape, t.dtype.name, ...(await (t as Dense).bits())]).toEqual([
        name,
        want.shape,
        want.dtype.name,
        ...(await want.bits()),
      ]);
    }
    if (device !== 'reference') return;
    const x = tensor(rt, wave(3 * 128, 5), { shape: [3, 128] });
    const table = parts.table && { table: (await parts.table.data()) as Float32Array };
    const y = linearWeight(x, parts.codes, parts.scale, parts.zero, undefined, { ...parts.format, ...table });
    expect(await computeError(linear(x, dequantize(w)), y)).toBeGreaterThan(100);
  });

  it.each(cases)('%s: the last group may be short, and padding is never seen', async (_name, c) => {
    const plain = matrix(rt, 5, 100, 3);
    const w = quantizeTensor(plain, c.config);
    expect(await computeError(plain, w)).toBeGreaterThan(c.least - 2);
    const back = await readStateDict(rt, bytesSource(await written(new Map([['a.weight', w]]))), { device });
    const read = back.get('a.weight') as Tensor;
    expect([read.kind, read.shape, read.dtype]).toEqual([w.kind, w.shape, w.dtype]);
    expect(await values(read)).toEqual(await values(w));
    const x = tensor(rt, wave(2 * 100, 7), { shape: [2, 100] });
    expect((await values(linear(x, w))).every(Number.isFinite)).toBe(true);
    if (c.group === undefined || c.rows !== undefined) return;
    const whole = 100 - (100 % c.group);
    for (const [from, to] of [
      [0, whole],
      [whole, 100],
    ] as const) {
      const alone = quantizeTensor(clone(slice(plain, 1, from, to)), c.config);
      expect(await values(slice(dequantize(w), 1, from, to))).toEqual(await values(alone));
    }
  });

  it.each(cases)('%s: zeros stay zeros, where torchao may give NaN', async (_name, { config }) => {
    for (const seed of ['rows', 'all']) {
      const data = seed === 'all' ? new Float32Array(8 * 128) : wave(8 * 128, 2).fill(0, 128, 384);
      const w = quantizeTensor(tensor(rt, data, { shape: [8, 128] }), config);
      const got = await values(w);
      // A codebook of a tensor without zeros among its means keeps small values small.
      const exact = !/codebook|lut/.test(w.kind?.name ?? '') || seed === 'all';
      if (exact) expect(got.slice(128, 384).every((v) => v === 0)).toBe(true);
      expect(got.every(Number.isFinite)).toBe(true);
      const x = tensor(rt, new Float32Array(2 * 128), { shape: [2, 128] });
      expect((await values(linear(x, w))).every((v) => v === 0)).toBe(true);
    }
  });

  it.each(cases)('%s: a model replays and is written as its plain weights are', async (scheme, { config, dynamic }) => {
    const model = new Model(rt, { layers: 1, hidden: 32, vocabulary: 24 });
    const plain = new Map(
      [...stateDict(model)].map(([name, t]) => [name, t.ndim === 2 ? quantizeTensor(t, config) : t]),
    );
    const want = await written(plain);
    await quantize_(model, config);
    const weight = model.layers[0]!.up_proj.weight;
    const packs = device !== 'reference' && dynamic !== true && !scheme.startsWith('lut');
    expect(weight.packed !== null).toBe(packs);
    expect(Buffer.compare(await written(stateDict(model)), want)).toBe(0);
    const back = await readStateDict(rt, bytesSource(want), { device });
    expect(flattenTensorStateDict(back).metadata).toEqual(flattenTensorStateDict(plain).metadata);
    const ids = tensor(rt, [[1, 5, 23]], { dtype: int32 });
    const eager = scope(() => model.call(ids));
    const plan = rt.capture((input) => model.call(input), ids);
    const [replayed] = plan.replay(ids);
    expect(Array.from(await replayed!.bits())).toEqual(Array.from(await eager.bits()));
    plan.dispose();
    model.dispose();
  });

  it('bfloat16 weights take every scheme', async () => {
    const w = cast(matrix(rt, 8, 128, 1), (await import('@ao/core')).bfloat16);
    for (const [name, { config, least }] of cases) {
      const q = quantizeTensor(w, config);
      expect(q.dtype.name, name).toBe('bfloat16');
      expect(await computeError(w, q), name).toBeGreaterThan(least - 1);
    }
  });

  it('NaN and infinity are refused before any work, by name', async () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const model = new Model(rt);
      const spoiled = wave(96 * 64, 1);
      spoiled[77] = bad;
      const layer = model.layers[1]!;
      layer.up_proj.weight = tensor(rt, spoiled, { shape: [96, 64] });
      layer.up_proj.weight.kept = true;
      await expect(quantize_(model, parseScheme('float8wo'))).rejects.toThrow(/in layers\.1\.up_proj\.weight; nothing/);
      expect(model.layers[0]?.up_proj.weight.kind).toBeNull();
    }
  });

  it('configs written by hand have the defaults of what they leave out', () => {
    const info = { shape: [16, 128], dtype: 'float32' };
    for (const type of ['Float8WeightOnlyConfig', 'Float8DynamicActivationFloat8WeightConfig', 'NF4WeightOnlyConfig']) {
      expect(planTensor(rt, { type } as AoConfig, info)).toMatchObject({ scheme: expect.stringMatching(/wo|dq/) });
    }
    // null is a value, not what was left out
    expect(planTensor(rt, parseScheme('uintx8wo-row'), info)).toMatchObject({ scheme: 'uintx8wo-row' });
  });

  it('plans say what is emulated', () => {
    const info = { shape: [16, 128], dtype: 'float32' };
    for (const [name, { config, dynamic }] of cases) {
      expect('emulated' in planTensor(rt, config, info), name).toBe(dynamic === true);
    }
    expect(planTensor(rt, float8StaticActivationFloat8Weight(), info)).toMatchObject({
      fix: expect.stringContaining('actQuantScale'),
    });
  });
});
