import { describe, expect, it } from 'vitest';
import {
  createRuntime,
  embeddingWeight,
  float32,
  int8,
  int32,
  linearWeight,
  tensor,
  type WeightFormat,
} from '../index.ts';
import { fakeActivation } from './activation.ts';

const int4: WeightFormat = { code: 'int4', N: 1, K: 4, groupSize: 2, zeroDomain: 'float', activation: 'exact' };

describe('weights in codes', () => {
  it('decodes int4 nibbles, low first, with float zero points', async () => {
    const rt = await createRuntime();
    const codes = tensor(rt, [[((0x1 | (0xf << 4)) << 24) >> 24, 0x78]], { dtype: int8 });
    const scale = tensor(rt, [[0.5, 2]]);
    const zero = tensor(rt, [[10, -1]]);
    const row = embeddingWeight(codes, scale, zero, tensor(rt, [0], { dtype: int32 }), int4, float32);
    expect(await row.data()).toEqual(Float32Array.of(10.5, 9.5, -17, 13));
    const y = linearWeight(tensor(rt, [[1, 1, 1, 1]]), codes, scale, zero, tensor(rt, [100]), int4);
    expect(await y.item()).toBe(116);
  });

  it('has a short last group where the group size does not divide K', async () => {
    const rt = await createRuntime();
    const format: WeightFormat = { code: 'int8', N: 2, K: 5, groupSize: 2, zeroDomain: 'int', activation: 'exact' };
    const codes = tensor(rt, [1, 2, 3, 4, 5, -1, -2, -3, -4, -5], { shape: [2, 5], dtype: int8 });
    const scale = tensor(rt, [1, 10, 100, 2, 20, 200], { shape: [2, 3] });
    const zero = tensor(rt, [0, 1, 2, 0, 0, 0], { shape: [2, 3], dtype: int8 });
    const rows = embeddingWeight(codes, scale, zero, tensor(rt, [1, 0], { dtype: int32 }), format, float32);
    expect(await rows.data()).toEqual(Float32Array.of(-2, -4, -60, -80, -1000, 1, 2, 20, 30, 300));
    const y = linearWeight(tensor(rt, [[1, 1, 1, 1, 1]]), codes, scale, zero, undefined, format);
    expect(await y.data()).toEqual(Float32Array.of(353, -1146));
    expect(() =>
      linearWeight(
        tensor(rt, [[1, 1, 1, 1, 1]]),
        codes,
        tensor(rt, [
          [1, 1],
          [1, 1],
        ]),
        zero,
        undefined,
        format,
      ),
    ).toThrow(/scale .*2,3/);
  });

  it('quantizes activations by group, by token, and by token with a zero point', () => {
    const f = (activation: WeightFormat['activation']): WeightFormat => ({ ...int4, activation });
    const x = [0, 127, -64, 10];
    expect([...Array.from(fakeActivation(x, float32, { ...f('int8-group'), groupSize: 4 }))]).toEqual(x);
    const token = fakeActivation([1, -1, 0.5, 0], float32, f('int8-token'));
    const s = Math.fround(1 / 127.5);
    expect(Array.from(token)).toEqual([127 * s, -127 * s, 64 * s, 0]);
    const asym = Array.from(fakeActivation([0, 1, 2, 255], float32, f('int8-token-asym')));
    expect(asym).toEqual([0, 1, 2, 255]);
    expect(Array.from(fakeActivation([0, Number.NaN, 1, 1], float32, f('int8-token')))).toEqual([NaN, NaN, NaN, NaN]);
  });
});
