import { describe, expect, it } from 'vitest';
import type { DType } from '../dtype.ts';
import {
  bfloat16,
  bool,
  float8_e4m3fn,
  float8_e5m2,
  float16,
  float32,
  float64,
  int8,
  int32,
  int64,
  promoteTypes,
  resultType,
  uint8,
} from './index.ts';

const order = [bool, uint8, int8, int32, int64, float16, bfloat16, float32, float64] as readonly DType[];

/** torch.promote_types(row, column) of torch 2.13, without the columns this package lacks; '-' = int16 there. */
const TORCH = [
  'bool uint8 int8 int32 int64 float16 bfloat16 float32 float64',
  'uint8 uint8 - int32 int64 float16 bfloat16 float32 float64',
  'int8 - int8 int32 int64 float16 bfloat16 float32 float64',
  'int32 int32 int32 int32 int64 float16 bfloat16 float32 float64',
  'int64 int64 int64 int64 int64 float16 bfloat16 float32 float64',
  'float16 float16 float16 float16 float16 float16 float32 float32 float64',
  'bfloat16 bfloat16 bfloat16 bfloat16 bfloat16 float32 bfloat16 float32 float64',
  'float32 float32 float32 float32 float32 float32 float32 float32 float64',
  'float64 float64 float64 float64 float64 float64 float64 float64 float64',
].map((row) => row.split(' '));

const t = (dtype: DType, rank = 1) => ({ dtype, shape: Array.from({ length: rank }, () => 2) });

describe('promoteTypes', () => {
  it("is torch's table", () => {
    order.forEach((a, i) => {
      order.forEach((b, j) => {
        const want = TORCH[i]?.[j] as string;
        if (want === '-') expect(() => promoteTypes(a, b)).toThrow(/int16.*cast both operands/);
        else expect(`${a.name} ${b.name} ${promoteTypes(a, b).name}`).toBe(`${a.name} ${b.name} ${want}`);
      });
    });
  });

  it('promotes float8 with nothing but itself', () => {
    expect(promoteTypes(float8_e5m2, float8_e5m2)).toBe(float8_e5m2);
    for (const d of [...order, float8_e5m2]) expect(() => promoteTypes(float8_e4m3fn, d)).toThrow(/float8 promotes/);
  });
});

describe('resultType', () => {
  it('numbers are weak', () => {
    expect(resultType(t(bfloat16), 0.5)).toBe(bfloat16);
    expect(resultType(t(float8_e4m3fn), 2)).toBe(float8_e4m3fn);
    expect(resultType(t(int8), 2)).toBe(int8);
    expect(resultType(t(int8), true)).toBe(int8);
    expect(resultType(t(int8), 0.5)).toBe(float32);
    expect(resultType(t(int8), Infinity)).toBe(float32);
    expect(resultType(t(bool), 1)).toBe(int32);
    expect(resultType(t(bool), false)).toBe(bool);
    expect(resultType(1, 2)).toBe(int32);
  });

  it('tensors of rank 0 raise the category only', () => {
    expect(resultType(t(float16), t(float64, 0))).toBe(float16);
    expect(resultType(t(int8), t(float64, 0))).toBe(float64);
    expect(resultType(t(int8), t(int64, 0))).toBe(int8);
    expect(resultType(t(bool), t(uint8, 0))).toBe(uint8);
    expect(resultType(t(int8, 0), t(bfloat16, 0), 1.5)).toBe(bfloat16);
    expect(resultType(t(float16), t(bfloat16))).toBe(float32);
  });
});
