import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DType } from '../dtype.ts';
import { decodeArray, decodeValues, defineDType, encodeArray, encodeSaturated, rawView } from '../dtype.ts';
import {
  bfloat16,
  bool,
  dtypeByName,
  dtypeBySafetensors,
  dtypes,
  float8_e4m3fn,
  float8_e5m2,
  float16,
  float32,
  float64,
  int8,
  int32,
  int64,
  uint8,
} from './index.ts';

const small = [float16, bfloat16, float8_e4m3fn, float8_e5m2] as readonly DType[];
const codes = (d: DType): number[] => Array.from({ length: 2 ** d.bits }, (_, i) => i);

/** Nearest representable value by search over all codes; ties go to the even code. Independent of the codec's bit tricks. */
function nearest(d: DType, x: number): number {
  const positive = codes(d).slice(0, 2 ** (d.bits - 1));
  let best = 0;
  for (const c of positive) {
    const value = d.decode(c);
    if (!Number.isFinite(value)) continue;
    const gap = Math.abs(value - Math.abs(x)) - Math.abs(d.decode(best) - Math.abs(x));
    if (gap < 0 || (gap === 0 && c % 2 === 0)) best = c;
  }
  return best + (x < 0 || Object.is(x, -0) ? 2 ** (d.bits - 1) : 0);
}

describe('codecs', () => {
  it.each(small.map((d) => [d.name, d] as const))(
    '%s: every code survives decode and encode, scalar and bulk',
    (_, d) => {
      const all = codes(d);
      const raw = new d.array(all.length);
      raw.set(all);
      const values = decodeArray(d, raw);
      const back = encodeArray(d, values);
      for (const c of all) {
        const value = d.decode(c);
        const kept = Number.isNaN(value)
          ? Number.isNaN(d.decode(back[c] as number))
          : d.encode(value) === c && back[c] === c;
        if (!kept || !Object.is(value, values[c]))
          expect.fail(`${d.name} code ${c}: ${value}, ${values[c]}, ${back[c]}`);
      }
    },
  );

  it.each([float8_e4m3fn, float8_e5m2] as readonly DType[])('$name rounds to the nearest value, ties to even', (d) => {
    const all = codes(d)
      .map((c) => d.decode(c))
      .filter(Number.isFinite);
    fc.assert(
      fc.property(
        fc.constantFrom(...all),
        fc.constantFrom(...all),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (a, b, t) => {
          const x = Math.fround(a + (b - a) * t);
          expect(d.encode(x)).toBe(nearest(d, x));
          const middle = (a + b) / 2;
          expect(d.encode(middle)).toBe(nearest(d, middle));
        },
      ),
    );
  });

  it('bulk equals scalar for any float32 bits', () => {
    fc.assert(
      fc.property(fc.uint32Array({ maxLength: 64 }), (bits) => {
        const x = new Float32Array(bits.buffer, bits.byteOffset, bits.length);
        for (const d of [...small, int8, uint8, int32, bool]) {
          expect([...encodeArray(d, x)]).toEqual([...x].map((v) => d.encode(v)));
          expect([...encodeArray(d, [...x])]).toEqual([...encodeArray(d, x)]);
        }
      }),
    );
  });

  it('overflow, infinity and NaN', () => {
    expect([464, 465, Infinity, -Infinity].map((x) => float8_e4m3fn.encode(x))).toEqual([0x7e, 0x7e, 0x7e, 0xfe]);
    expect([61439, 61440, Infinity, -1e9].map((x) => float8_e5m2.encode(x))).toEqual([0x7b, 0x7c, 0x7c, 0xfc]);
    expect([1e9, -Infinity].map((x) => encodeSaturated(float8_e5m2, x))).toEqual([0x7b, 0xfb]);
    expect([...encodeArray(float8_e5m2, [1e9, -1e9, NaN], { saturate: true })]).toEqual([0x7b, 0xfb, 0x7f]);
    expect([65519, 65520, -Infinity].map((x) => float16.encode(x))).toEqual([0x7bff, 0x7c00, 0xfc00]);
    expect([bfloat16.max, 3.4e38].map((x) => bfloat16.encode(x))).toEqual([0x7f7f, 0x7f80]);
    for (const d of small) expect(d.decode(d.encode(NaN))).toBeNaN();
  });

  it('the facts are those of the codes', () => {
    for (const d of small) {
      const finite = codes(d)
        .map((c) => d.decode(c))
        .filter(Number.isFinite);
      expect(finite.reduce((a, b) => Math.max(a, b))).toBe(d.max);
      expect(finite.reduce((a, b) => Math.min(a, b))).toBe(d.min);
      expect(d.decode(d.encode(1) + 1) - 1).toBe(d.eps);
      expect(d.decode(d.encode(d.smallestNormal))).toBe(d.smallestNormal);
    }
  });

  it('integers truncate and wrap; bool asks x != 0', () => {
    expect([-1.9, 127.5, 128, 300, NaN, Infinity].map((x) => int8.encode(x))).toEqual([-1, 127, -128, 44, 0, 0]);
    expect([-1, 255.9, 256].map((x) => uint8.encode(x))).toEqual([255, 255, 0]);
    expect([2 ** 31, -(2 ** 31) - 1].map((x) => int32.encode(x))).toEqual([-(2 ** 31), 2 ** 31 - 1]);
    expect([0, -0, NaN, 0.1, -3].map((x) => bool.encode(x))).toEqual([0, 0, 1, 1, 1]);
  });
});

describe('int64', () => {
  it('round trips up to 2^53, and beyond it throws instead of rounding', () => {
    const raw = encodeArray(int64, [0, -1, 2 ** 53, -(2 ** 53), 1.9, NaN]);
    expect(raw).toBeInstanceOf(BigInt64Array);
    expect(decodeValues(int64, raw)).toEqual(Float64Array.of(0, -1, 2 ** 53, -(2 ** 53), 1, 0));
    const beyond = BigInt64Array.of(2n ** 53n + 1n);
    expect(() => decodeValues(int64, rawView(int64, new Uint8Array(beyond.buffer)))).toThrow(
      /9007199254740993.*bits\(\)/,
    );
  });
});

describe('lookup', () => {
  it('finds by both names and lists the choices when there is none', () => {
    for (const d of dtypes()) {
      expect(dtypeByName(d.name)).toBe(d);
      expect(dtypeBySafetensors(d.safetensors)).toBe(d);
    }
    expect(dtypeByName('torch.bfloat16')).toBe(bfloat16);
    expect(() => dtypeByName('int4')).toThrow(/no dtype has the name 'int4'.*float32, float16/);
  });

  it('takes a dtype of another package once, and refuses a second of that name', () => {
    const row = { ...uint8, name: 'uint7', code: 1000, safetensors: 'U7', max: 127 } as const;
    const uint7 = defineDType(row);
    expect(dtypeByName('uint7')).toBe(uint7);
    expect(defineDType({ ...row })).toBe(uint7);
    expect(() => defineDType({ ...row, bits: 7 })).toThrow(/defined twice/);
  });
});

describe('rawView', () => {
  it('copies only when the offset is odd, and refuses a partial element', () => {
    const bytes = new Uint8Array(12);
    expect(rawView(float32, bytes).buffer).toBe(bytes.buffer);
    expect(rawView(float64, bytes.subarray(4)).length).toBe(1);
    expect(() => rawView(float32, bytes.subarray(1))).toThrow(/11 bytes/);
  });
});
