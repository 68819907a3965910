// K-quants: codes and integers within their ranges, scales as float16 stores them, errors below those of plain rounding.
import { float16, roundHalfEven } from '@ao/core';
import { describe, expect, it } from 'vitest';
import { dequantizeKQuant, K_QUANTS, type KQuantName, quantizeKQuant } from '../src/index.ts';

/** Heavy-tailed values, as weights are. */
const values = Float32Array.from({ length: 8 * 256 }, (_, i) => {
  const u = Math.sin(i * 12.9898) * 43758.5453;
  return ((u - Math.floor(u) - 0.5) * 2) ** 3 + 0.1 * Math.sin(i);
});

const sqnr = (x: Float32Array, y: Float32Array): number => {
  let [signal, noise] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    signal += x[i]! ** 2;
    noise += (x[i]! - y[i]!) ** 2;
  }
  return 10 * Math.log10(signal / noise);
};

/** Each block's range cut evenly, with its scale in full precision: no super-block at all. */
function plain(name: KQuantName): Float32Array {
  const { bits, block, minima } = K_QUANTS[name];
  const out = new Float32Array(values.length);
  for (let at = 0; at < values.length; at += block) {
    const part = values.subarray(at, at + block);
    const [low, high] = [Math.min(0, ...part), Math.max(...part)];
    const peak = Math.max(high, -low);
    const scale = minima ? (high - low) / (2 ** bits - 1) : peak / (2 ** (bits - 1) - 1);
    for (const [i, v] of part.entries())
      out[at + i] = roundHalfEven((v - (minima ? low : 0)) / scale) * scale + (minima ? low : 0);
  }
  return out;
}

describe('K-quants', () => {
  for (const name of Object.keys(K_QUANTS) as KQuantName[]) {
    const { bits, scaleBits, minima } = K_QUANTS[name];

    it(`${name}: stays in its ranges`, () => {
      const q = quantizeKQuant(values, name);
      const [low, high] = minima ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
      expect(Math.min(...q.codes)).toBeGreaterThanOrEqual(low);
      expect(Math.max(...q.codes)).toBe(high);
      const [least, most] = minima ? [0, 2 ** scaleBits - 1] : [-(2 ** (scaleBits - 1)), 2 ** (scaleBits - 1) - 1];
      expect(Math.min(...q.scales)).toBeGreaterThanOrEqual(least);
      expect(Math.max(...q.scales)).toBeLessThanOrEqual(most);
      for (const d of [...q.d, ...q.dmin]) expect(float16.decode(float16.encode(d))).toBe(d);
    });

    it(`${name}: loses less than even rounding with unrounded scales`, () => {
      const made = sqnr(values, dequantizeKQuant(quantizeKQuant(values, name)));
      // rounding scales to 4 bits costs q2_K more than its search finds
      expect(made).toBeGreaterThan(sqnr(values, plain(name)) - (name === 'q2_K' ? 1 : 0));
    });
  }

  it('zeros stay zeros, and one block of them does not hurt the rest', () => {
    for (const name of Object.keys(K_QUANTS) as KQuantName[]) {
      expect([...dequantizeKQuant(quantizeKQuant(new Float32Array(256), name))].every((v) => v === 0)).toBe(true);
      const mixed = values.slice(0, 256).fill(0, 0, 64);
      const back = dequantizeKQuant(quantizeKQuant(mixed, name));
      expect(back.every(Number.isFinite)).toBe(true);
      expect(Math.max(...back.subarray(0, 64).map(Math.abs))).toBe(0);
    }
  });

  it('importance moves the error to where it counts least', () => {
    const importance = Float32Array.from({ length: values.length }, (_, i) => (i % 2 === 0 ? 100 : 1));
    const even = (x: Float32Array): Float32Array => x.filter((_, i) => i % 2 === 0);
    const of = (weights?: Float32Array): number =>
      sqnr(even(values), even(dequantizeKQuant(quantizeKQuant(values, 'q4_K', weights))));
    expect(of(importance)).toBeGreaterThan(of() + 0.3);
  });

  it('rows that no super-block divides are an error', () => {
    expect(() => quantizeKQuant(new Float32Array(576), 'q4_K')).toThrow(/no multiple of 256.*smaller blocks/);
  });
});
