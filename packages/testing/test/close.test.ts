import { bfloat16, float8_e4m3fn, float64, int8 } from '@ao/core';
import { describe, expect, it } from 'vitest';
import { expectBits, expectClose, sqnr, ulpDistance } from '../src/index.ts';

const why = 'test';

describe('sqnr', () => {
  it('is 20 log10 of the ratio of norms', () => {
    expect(sqnr([3, 4], [3, 4])).toBe(Infinity);
    expect(sqnr([3, 4], [3, 4.5])).toBeCloseTo(20, 12);
    expect(sqnr([1], [0])).toBe(0);
    expect(sqnr([1, NaN], [1, 1])).toBeNaN();
  });
});

describe('ulpDistance', () => {
  it('counts the steps of the dtype, through zero', () => {
    expect(ulpDistance(1, 1 + 2 ** -23)).toBe(1);
    expect(ulpDistance(1, 1 - 2 ** -24)).toBe(1);
    expect(ulpDistance(2 ** -149, -(2 ** -149))).toBe(2);
    expect(ulpDistance(0, -0)).toBe(0);
    expect(ulpDistance(1, 1 + 2 ** -52, float64)).toBe(1);
    expect(ulpDistance(1, 1.015625, bfloat16)).toBe(2);
    expect(ulpDistance(-448, 448, float8_e4m3fn)).toBe(252);
    expect(ulpDistance(-3, 4, int8)).toBe(7);
    expect(ulpDistance(NaN, NaN)).toBe(0);
    expect(ulpDistance(NaN, 1)).toBe(Infinity);
    expect(ulpDistance(Infinity, 3e38)).toBe(Infinity);
  });
});

describe('expectBits', () => {
  it('takes NaN as equal and -0 as different, and names the first element', () => {
    expectBits([NaN, 1], [NaN, 1]);
    expect(() => expectBits([1, -0, 3], [1, 0, 4], 'qdata')).toThrow('qdata: 2 of 3 differ, first [1]: got 0, want 0');
    expect(() => expectBits([1], [1, 2])).toThrow('got 1 elements, want 2');
    expect(() => expectBits(BigInt64Array.of(1n), BigInt64Array.of(2n))).toThrow('got 1, want 2');
  });
});

describe('expectClose', () => {
  it('bounds ulps, and shows the worst element', () => {
    expectClose([1 + 2 ** -23], [1], { ulps: 1, why });
    expect(() => expectClose([1 + 2 ** -22, 2], [1, 3], { ulps: 1, why })).toThrow(
      /2 of 2 exceed 1 ulps .* worst \[1\]: got 2/,
    );
  });

  it('bounds relative and absolute differences, by the rms of the row where asked', () => {
    expectClose([1.01, 0], [1, 0], { rtol: 0.011, why });
    expectClose([0.5], [0], { atol: 0.5, why });
    expect(() => expectClose([1.01, 1e-9], [1, 0], { rtol: 0.011, why })).toThrow(/worst \[1\]/);
    expectClose([1.01, 1e-9], [1, 0], { rtol: 0.011, axis: 2, why });
    expect(() => expectClose([9, 9, 0.01], [9, 9, 0], { rtol: 0.01, axis: 1, why })).toThrow(/worst \[2\]/);
  });

  it('never lets NaN or one infinity through', () => {
    for (const bad of [NaN, Infinity]) {
      for (const t of [{ ulps: 1e9 }, { rtol: 1e9 }, { atol: 1e300 }, { sqnr: -1e9 }]) {
        expect(() => expectClose([bad], [1], { ...t, why })).toThrow();
        expect(() => expectClose([1], [bad], { ...t, why })).toThrow();
        expect(() => expectClose([bad, 1], [1, Infinity], { ...t, why })).toThrow();
        if ('ulps' in t || 'rtol' in t) expectClose([bad], [bad], { ...t, why });
      }
    }
  });

  it('bounds the SQNR from below, and wants a tolerance with a reason', () => {
    expectClose([3, 4.5], [3, 4], { sqnr: 19.9, why });
    expect(() => expectClose([3, 4.5], [3, 4], { sqnr: 20.1, why })).toThrow('SQNR is 20.00 dB, want at least 20.1');
    expect(() => expectClose([1], [1], { rtol: 1, why: '' })).toThrow(/why/);
    expect(() => expectClose([1], [1], { why })).toThrow(/one of/);
  });
});
