import { bfloat16, blockGrid, checkedRange, dtypeRange, float16, float32 } from '@ao/core';
import { describe, expect, it } from 'vitest';
import { packNibbles, unpackNibbles } from '../src/reference/int4.ts';
import { blockOf, blockRange, blocksOf, roundHalfEven, roundingOf } from '../src/reference/numerics.ts';

describe('rounding', () => {
  it.each([
    [0.5, 0],
    [1.5, 2],
    [2.5, 2],
    [-0.5, -0],
    [-1.5, -2],
    [-2.5, -2],
    [0.49999999999999994, 0],
    [-0.2, -0],
    [3, 3],
  ])('round %d', (x, r) => expect(Object.is(roundHalfEven(x), r)).toBe(true));

  it('agrees with the dtypes for every kind of value', () => {
    for (const dtype of [float32, bfloat16, float16]) {
      const round = roundingOf(dtype);
      for (const x of [0, -0, 1, 1.00390625, 1.01171875, 3.4e38, -1e-40, 65519, 1e-7, Infinity, 0.1, 255.5]) {
        expect(Object.is(round(x), dtype.decode(dtype.encode(Math.fround(x)))), `${dtype.name} ${x}`).toBe(true);
      }
      expect(round(Number.NaN)).toBeNaN();
    }
  });
});

describe('blocks', () => {
  it('maps elements in any rank', () => {
    const b = blocksOf('t', [2, 4, 6], [1, 2, 3]);
    expect(b).toMatchObject({ count: 8, run: 0 });
    const of = (i: number, j: number, k: number): number => blockOf(b, (i * 4 + j) * 6 + k);
    expect([of(0, 0, 0), of(0, 1, 2), of(0, 1, 3), of(0, 2, 0), of(1, 3, 5)]).toEqual([0, 0, 1, 2, 7]);
  });

  it('knows runs', () => {
    const of = (shape: number[], block: number[]) => ({
      ...blocksOf('t', shape, block),
      ...blockGrid('t', shape, block),
    });
    expect(of([8, 128], [1, 32])).toMatchObject({ run: 32, map: null, reduced: [8, 4] });
    expect(of([8, 128], [2, 128])).toMatchObject({ run: 256, map: null, grid: [4, 1], reduced: [4] });
    expect(of([8, 128], [8, 128])).toMatchObject({ run: 1024, grid: [1, 1], reduced: [] });
    expect(of([8, 128], [8, 1])).toMatchObject({ run: 0, grid: [1, 128], reduced: [128] });
    expect(of([3, 4], [1, 1])).toMatchObject({ run: 1, count: 12 });
  });

  it('names the dimension that does not fit', () => {
    expect(() => blocksOf('quantize_affine', [8, 100], [1, 32])).toThrow(
      'dimension 1 of [8,100] is no multiple of its block 32',
    );
    expect(() => blocksOf('quantize_affine', [8, 100], [32])).toThrow('differ in rank');
  });

  it('carries NaN into the range of its block', () => {
    const { min, max } = blockRange([1, 2, Number.NaN, 0], blocksOf('t', [2, 2], [1, 2]));
    expect([...min]).toEqual([1, Number.NaN]);
    expect([...max]).toEqual([2, Number.NaN]);
  });
});

describe('ranges and nibbles', () => {
  it('follows the bits', () => {
    expect(dtypeRange('t', 'int4')).toEqual({ quantMin: -8, quantMax: 7 });
    expect(dtypeRange('t', 'uint3')).toEqual({ quantMin: 0, quantMax: 7 });
    expect(dtypeRange('t', 'int1')).toEqual({ quantMin: -1, quantMax: 0 });
    expect(() => dtypeRange('t', 'int9')).toThrow('no quantized integer type');
    expect(() => checkedRange('t', 'int8', -200)).toThrow('does not fit int8');
  });

  it('packs the even element low and is a bijection', () => {
    expect([...packNibbles([-8, 7, 1, -1])]).toEqual([0x78, -15]);
    const all = Int8Array.from({ length: 256 }, (_, i) => i - 128);
    expect([...packNibbles(unpackNibbles(all))]).toEqual([...all]);
  });
});
