// Groups that do not divide the columns: the last one is shorter, and what is not there is never seen.
import {
  bytesSink,
  bytesSource,
  cat,
  type Dense,
  dequantize,
  linear,
  packWeight,
  slice,
  type Tensor,
  tensor,
  transpose,
  type Wrapped,
} from '@ao/core';
import { expectClose } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import { parseScheme, quantizeTensor, readStateDict, writeStateDict } from '../src/index.ts';
import { devices } from './devices.ts';
import { matrix, wave } from './model.ts';

const N = 24;
/** A scheme, and how it is named with groups of n. */
const schemes = ['int8wo', 'int4wo', 'int4wo-tinygemm', 'int4wo-hqq', 'intx3-sym', 'intx4-asym', 'intx6-hqq', '8da4w'];

const bits = async (t: Tensor): Promise<unknown> => (t as Dense).bits();
const numbers = async (t: Tensor): Promise<Float32Array> => (await t.data()) as Float32Array;
/** int4's parts have groups first. */
const byColumns = (t: Wrapped, part: string): Tensor => {
  const p = t.parts[part] as Tensor;
  return t.kind.name === 'int4' && part !== 'qdata' ? transpose(p, 0, 1) : p;
};

describe.each(devices)('short last groups on $device', ({ rt, device }) => {
  const groups = (K: number): readonly number[] => [K - (K % 32), K % 32];

  it.each(schemes.flatMap((s) => [80, 20].map((K) => [s, K] as const)))('%s, %i columns', async (scheme, K) => {
    const w = matrix(rt, N, K, 1);
    const q = quantizeTensor(w, parseScheme(`${scheme}-32`)) as Wrapped;
    const [whole = 0, rest = 0] = groups(K);
    // int4 and tinygemm have no groups of other sizes in their configs, so the rest is one group of 32 of its own
    const pieces = [...(whole > 0 ? [slice(w, 1, 0, whole)] : []), ...(rest > 0 ? [slice(w, 1, whole)] : [])].map(
      (part) => quantizeTensor(part, parseScheme(`${scheme}-32`)) as Wrapped,
    );
    for (const part of ['qdata', 'scale', 'zero_point']) {
      if (q.parts[part] === undefined) continue;
      const joined =
        pieces.length === 1
          ? byColumns(pieces[0] as Wrapped, part)
          : cat(
              pieces.map((p) => byColumns(p, part)),
              1,
            );
      expect(await bits(byColumns(q, part)), part).toEqual(await bits(joined));
    }
    const values = await dequantize(q).data();
    const apart = pieces.map((p) => dequantize(p));
    expect(values).toEqual(await (apart.length === 1 ? (apart[0] as Tensor) : cat(apart, 1)).data());
    const w32 = await w.data();
    const error = Math.max(...values.map((v, i) => Math.abs(Number(v) - Number(w32[i]))));
    expect(error).toBeLessThan(scheme.includes('3') ? 0.1 : 0.05);
  });

  it.each(schemes)('%s: linear, packed or not, files and slices', async (scheme) => {
    const q = quantizeTensor(matrix(rt, N, 80, 2), parseScheme(`${scheme}-32`)) as Wrapped;
    const x = tensor(rt, wave(3 * 80, 5), { shape: [3, 80] });
    const plain = linear(x, q);
    const close = { rtol: 2e-5, atol: 1e-5, why: 'sums in another order' };
    if (scheme !== '8da4w') expectClose(await numbers(plain), await numbers(linear(x, dequantize(q))), close);
    const tail = slice(q, 1, 64, 80);
    expect(await tail.data()).toEqual(await slice(dequantize(q), 1, 64, 80).data());
    const sink = bytesSink();
    await writeStateDict(new Map([['m.weight', q]]), sink);
    const back = (await readStateDict(rt, bytesSource(sink.bytes()))).get('m.weight') as Tensor;
    expect(await back.data()).toEqual(await q.data());
    await expect(writeStateDict(new Map([['m.weight', q]]), bytesSink(), { form: 'torchao' })).rejects.toThrow(
      /the last of its groups of 32 is short \(80 values\).*tensor m\.weight/,
    );
    const before = await Promise.all(q.kind.partNames.map((name) => q.parts[name]?.bits()));
    if (!packWeight(rt, q)) expect(device).toBe('reference');
    expect(await Promise.all(q.kind.partNames.map((name) => q.parts[name]?.bits()))).toEqual(before);
    expectClose(await numbers(linear(x, q)), await numbers(plain), close);
  });
});

describe.each(devices)('rows of zeros on $device', ({ rt }) => {
  it.each([...schemes, 'int8dq', 'intx1-asym', 'intx2-sym', 'intx8-hqq', 'uint4wo', 'float8wo'])(
    '%s',
    async (scheme) => {
      const values = wave(4 * 64, 3).map((v, i) => (i >= 64 && i < 192 ? 0 : v));
      const w = tensor(rt, values, { shape: [4, 64] });
      const name = /^(int8dq|float8wo)$/.test(scheme) ? scheme : `${scheme}-32`;
      const q = await dequantize(quantizeTensor(w, parseScheme(name))).data();
      expect([...q.slice(64, 192)].every((v) => Number(v) === 0)).toBe(true);
      expect([...q.slice(0, 64)].some((v) => Number(v) !== 0)).toBe(true);
      expect([...q].some((v) => Number.isNaN(v))).toBe(false);
    },
  );
});
