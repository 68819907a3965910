import { bfloat16, bool, float8_e4m3fn, float8_e5m2, float16, float32, int8, int32, uint8 } from '../dtypes/index.ts';
import { type Make, type OpSamples, samples } from '../sample.ts';
import { contiguousOp } from './contiguous.ts';
import { castTo, cat, clone, copy_, fill_ } from './copy.ts';
import { addScalar_ } from './sample.ts';
import { expand, permute, slice } from './views.ts';

export const movementSamples = (): OpSamples[] => [
  samples(contiguousOp, [
    { name: 'permuted', args: (make) => [permute(make([3, 4, 5]), [2, 0, 1])] },
    { name: 'expanded', args: (make) => [expand(make([3, 1]), [2, 3, 4])] },
    { name: 'sliced bfloat16', args: (make) => [slice(make([4, 9], { dtype: bfloat16 }), 1, 1, 8, 3)] },
  ]),
  samples(clone, [
    { name: 'int8', args: (make) => [make([3, 4], { dtype: int8, fill: 'integer', low: -9, high: 9 })] },
  ]),
  samples(castTo, [
    ...[bfloat16, float16, float8_e4m3fn, float8_e5m2, int32, int8, bool].map((dtype) => ({
      name: `float32 to ${dtype.name}`,
      args: (make: Make) => [make([5, 7], { fill: 'uniform', low: -100, high: 100 }), dtype],
    })),
    ...[bfloat16, float16, float8_e4m3fn, float8_e5m2].map((dtype) => ({
      name: `${dtype.name} to float32`,
      args: (make: Make) => [make([5, 7], { dtype }), float32],
    })),
    {
      name: 'uint8 to float32',
      args: (make) => [make([9], { dtype: uint8, fill: 'integer', low: 0, high: 255 }), float32],
    },
  ]),
  samples(copy_, [
    { name: 'into a view, cast', args: (make) => [slice(make([4, 6], { dtype: bfloat16 }), 1, 1, 4), make([3])] },
  ]),
  samples(fill_, [{ name: 'a column', args: (make) => [slice(make([4, 6]), 1, 2, 3), 7] }]),
  samples(addScalar_, [{ name: 'int32', args: (make) => [make([1], { dtype: int32, fill: [41] }), 1] }]),
  samples(cat, [{ name: 'three along 1', args: (make) => [[make([2, 3]), make([2, 1]), make([2, 4])], 1] }]),
];
