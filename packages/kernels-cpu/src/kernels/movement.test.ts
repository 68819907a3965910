// Dtypes that other packages define: the cpu moves their elements as they are and says what it cannot convert.
import {
  cast,
  clone,
  copy_,
  createRuntime,
  defineDType,
  embedding,
  float32,
  fromBits,
  gather,
  int32,
  type RawArray,
  reshape,
  slice,
  tensor,
  transpose,
  zeros,
} from '@ao/core';
import { afterAll, describe, expect, it } from 'vitest';
import { cpu } from '../index.ts';

const define = <T extends RawArray>(bits: number, array: (new (n: number) => T) & { BYTES_PER_ELEMENT: number }) =>
  defineDType({
    name: `test_foreign${bits}`,
    bits,
    itemsize: bits / 8,
    category: 'float',
    code: 64 + bits,
    safetensors: `TEST_FOREIGN${bits}`,
    array: array as never,
    values: Float32Array,
    encode: (x) => x * 2,
    decode: (raw) => raw / 2,
    min: -60,
    max: 60,
    smallestNormal: 0.5,
    eps: 0.5,
  });

const rt = await createRuntime({ use: [cpu()] });
afterAll(() => rt.close());

describe.each([define(8, Int8Array), define(16, Uint16Array), define(32, Int32Array), define(64, Float64Array)])(
  '$name on cpu',
  (dtype) => {
    const raw = new dtype.array(6);
    raw.set([1, 2, 3, 4, 5, 6]);
    const x = fromBits(rt, raw, [2, 3], dtype);
    const values = async (t: { bits(): Promise<RawArray> }) => [...(await t.bits())];

    it('is copied, transposed, sliced and gathered', async () => {
      expect(await values(clone(x))).toEqual([1, 2, 3, 4, 5, 6]);
      expect(await values(clone(transpose(x, 0, 1)))).toEqual([1, 4, 2, 5, 3, 6]);
      const target = fromBits(rt, new dtype.array(6), [2, 3], dtype);
      copy_(slice(target, 1, 1, 3), slice(x, 1, 0, 2));
      expect(await values(target)).toEqual([0, 1, 2, 0, 4, 5]);
      const rows = tensor(rt, Int32Array.from([1, 0]), { dtype: int32 });
      expect(await values(embedding(x, rows))).toEqual([4, 5, 6, 1, 2, 3]);
      expect(await values(gather(x, 0, reshape(rows, [2, 1])))).toEqual([4, 1]);
    });

    it('is not converted without a kernel for it', () => {
      for (const convert of [
        () => cast(x, float32),
        () => cast(zeros(rt, [2]), dtype),
        () => copy_(zeros(rt, [2, 3]), x),
      ])
        expect(convert).toThrow(new RegExp(`the cpu does not know ${dtype.name}`));
    });
  },
);

it('says which sizes it moves', () => {
  const wide = { ...define(8, Int8Array), name: 'test_foreign24', itemsize: 3, bits: 24, code: 90 } as never;
  const x = fromBits(rt, new Uint8Array(6), [2], wide);
  expect(() => clone(x)).toThrow(/test_foreign24 has 3 bytes an element/);
});
