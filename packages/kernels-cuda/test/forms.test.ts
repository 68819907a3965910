// Forms of weights that have kernels of their own on cuda, small floats and 2:4 ones among them: products with few and many rows of x in every
// dtype, against sums in float64 over the values that the codes stand for.
import * as ao from '@ao/core';
import { describe, expect, it } from 'vitest';
import { cuda } from '../src/index.ts';
import { places } from './places.ts';

const [N, K] = [37, 208];

interface Case {
  readonly name: string;
  readonly bits: number;
  readonly code: 'int8' | 'int4' | 'table';
  readonly table?: Float32Array;
  readonly groupSize: number;
  readonly scale: ao.DType;
  readonly zeroDomain?: 'int' | 'float';
  readonly sparse?: boolean;
}
const e4m3 = Float32Array.from({ length: 256 }, (_, code) => ao.float8_e4m3fn.decode(code));
const e5m2 = Float32Array.from({ length: 256 }, (_, code) => ao.float8_e5m2.decode(code));
const CASES: readonly Case[] = [
  { name: 'float8 e4m3', bits: 8, code: 'table', table: e4m3, groupSize: K, scale: ao.float32 },
  { name: 'float8 e5m2, mx', bits: 8, code: 'table', table: e5m2, groupSize: 32, scale: ao.float8_e8m0fnu },
  { name: 'fp6 e3m2', bits: 6, code: 'table', table: ao.floatxValues(3, 2), groupSize: K, scale: ao.float16 },
  { name: 'fp4 by 16', bits: 4, code: 'table', table: ao.floatxValues(2, 1), groupSize: 16, scale: ao.float8_e4m3fn },
  { name: 'fp5, by its table', bits: 5, code: 'table', table: ao.floatxValues(2, 2), groupSize: 64, scale: ao.float32 },
  { name: 'int8', bits: 8, code: 'int8', groupSize: 128, scale: ao.bfloat16 },
  { name: 'int4, integer zero points', bits: 4, code: 'int4', groupSize: 64, scale: ao.bfloat16, zeroDomain: 'int' },
  {
    name: 'int4 by 48, float zero points',
    bits: 4,
    code: 'int4',
    groupSize: 48,
    scale: ao.float32,
    zeroDomain: 'float',
  },
  { name: 'int4 by 24', bits: 4, code: 'int4', groupSize: 24, scale: ao.float32 },
  { name: 'int4 2:4', bits: 4, code: 'int4', groupSize: 64, scale: ao.bfloat16, sparse: true },
  { name: 'int8 2:4', bits: 8, code: 'int8', groupSize: K, scale: ao.float32, sparse: true },
  {
    name: 'fp6 2:4',
    bits: 6,
    code: 'table',
    table: ao.floatxValues(3, 2),
    groupSize: K,
    scale: ao.float32,
    sparse: true,
  },
];
const WAYS = [0x4, 0x8, 0xc, 0x9, 0xd, 0xe]; // two of four in ascending order
const mix = (i: number, seed: number): number => (Math.imul(i + 1, 2654435761 + 2 * seed) >>> 8) ^ (i * 7);

/** The weight on a device, and its values [N, K]. */
function made(rt: ao.Runtime, c: Case) {
  const kept = c.sparse ? K / 2 : K;
  const groups = Math.ceil(K / c.groupSize);
  const half = 2 ** (c.bits - 1);
  const raw = Array.from({ length: N * kept }, (_, i) => mix(i, 3) % (2 * half));
  // no infinity or NaN but in one row
  const codes = raw.map((q, i) =>
    c.table === undefined || Math.abs(c.table[q]!) <= 64 ? q : Math.floor(i / kept) === 5 ? q : 1,
  );
  if (c.table === e4m3) codes[5 * kept + 9] = 0x7f;
  const numbers = codes.map((q) => c.table?.[q] ?? (q < half ? q : q - 2 * half));
  const bytes =
    c.code === 'int4'
      ? Array.from({ length: codes.length / 2 }, (_, i) => codes[2 * i]! | (codes[2 * i + 1]! << 4))
      : codes;
  const part = (values: number[], dtype: ao.DType) =>
    ao.fromBits(rt, ao.encodeArray(dtype, values), [N, groups], dtype);
  const scales = Array.from({ length: N * groups }, (_, i) => 2 ** ((mix(i, 5) % 5) - 3));
  const scale = part(scales, c.scale);
  const zeros = Array.from({ length: N * groups }, (_, i) =>
    c.zeroDomain === 'int' ? (mix(i, 7) % 7) - 3 : (mix(i, 7) % 9) / 8,
  );
  const zero = c.zeroDomain && part(zeros, c.zeroDomain === 'int' ? ao.int8 : ao.float32);
  const ways = Array.from({ length: (N * K) / 4 }, (_, i) => WAYS[mix(i, 11) % 6]!);
  const meta = Uint8Array.from({ length: (N * K) / 8 }, (_, i) => ways[2 * i]! | (ways[2 * i + 1]! << 4));
  const { code, table, groupSize, bits } = c;
  const parts: ao.WeightParts = {
    format: {
      ...{ code, N, K, groupSize, zeroDomain: c.zeroDomain ?? 'none', activation: 'exact' },
      ...(code === 'int8' && { bits }),
      ...(table && { table }),
      ...(c.sparse && { twoOfFour: true }),
    },
    codes: ao.fromBits(
      rt,
      code === 'table' ? Uint8Array.from(bytes) : Int8Array.from(bytes),
      [N, bytes.length / N],
      code === 'table' ? ao.uint8 : ao.int8,
    ),
    scale,
    ...(zero && { zero }),
    ...(c.sparse && { meta: ao.fromBits(rt, meta, [N, K / 8], ao.uint8) }),
  };
  const values = () => {
    const out = new Float64Array(N * K);
    for (let n = 0; n < N; n++)
      for (let j = 0; j < kept; j++) {
        const way = ways[(n * K) / 4 + (j >> 1)]!;
        const column = c.sparse ? (j >> 1) * 4 + (j % 2 ? way >> 2 : way & 3) : j;
        const at = n * groups + Math.floor(column / groupSize);
        const q = numbers[n * kept + j]!;
        out[n * K + column] =
          c.zeroDomain === 'int' ? (q - zeros[at]!) * scales[at]! : q * scales[at]! + (zero ? zeros[at]! : 0);
      }
    return out;
  };
  return { parts, values };
}

for (const place of places()) {
  describe(`forms of weights on cuda, ${place.name}`, async () => {
    if (place.skip !== '') {
      it.skip(place.skip);
      return;
    }
    const rt = await place.open(() => ao.createRuntime({ use: [cuda()] }));
    it.each(CASES)('$name', async (c) => {
      const { parts, values } = made(rt, c);
      const w = values();
      for (const [dtype, off] of [
        [ao.bfloat16, 2 ** -8],
        [ao.float16, 2 ** -10],
        [ao.float32, 1e-5],
      ] as const) {
        const weight = ao.empty(rt, [N, K], { dtype });
        weight.packed = rt.packer('cuda')!.pack(parts, dtype)!;
        for (const M of [1, 5, 20, 44]) {
          const x = ao.cast(
            ao.tensor(
              rt,
              Array.from({ length: M * K }, (_, i) => Math.sin(i * 1.7)),
              { shape: [M, K] },
            ),
            dtype,
          );
          const [xs, got] = [await x.data(), await ao.linear(x, weight).data()];
          const want = new Float64Array(M * N);
          for (let i = 0; i < M * N; i++)
            for (let k = 0; k < K; k++) want[i]! += xs[Math.floor(i / N) * K + k]! * w[(i % N) * K + k]!;
          const most = want.reduce((a, v) => (Number.isFinite(v) ? Math.max(a, Math.abs(v)) : a), 0);
          const bad = Array.from(want.keys()).filter((i) =>
            Number.isFinite(want[i]!) ? !(Math.abs(got[i]! - want[i]!) <= off * most) : Number.isFinite(got[i]!),
          );
          expect(bad.map((i) => [dtype.name, M, i, got[i], want[i]])).toEqual([]);
        }
      }
      const back = rt.packer('cuda')!.pack(parts, ao.float32)!.unpack();
      expect(await back.codes.bits()).toEqual(await parts.codes.bits());
      expect(await back.scale!.bits()).toEqual(await parts.scale!.bits());
      if (parts.meta) expect(await back.meta!.bits()).toEqual(await parts.meta.bits());
    });
  });
}
