import { bfloat16, float32, int32 } from '../dtypes/index.ts';
import { type OpSamples, samples } from '../sample.ts';
import * as reduce from './reduce.ts';

const SUM = { ulps: 8, rtol: 2 ** -18, why: 'float32 sums in another order' };

export const reduceSamples = (): OpSamples[] => [
  ...[reduce.sum, reduce.mean].map((op) =>
    samples(op, [
      { name: 'last', args: (make) => [make([5, 301]), -1], tolerance: SUM },
      { name: 'first, kept', args: (make) => [make([130, 7]), 0, true], tolerance: SUM },
      { name: 'middle, bfloat16', args: (make) => [make([3, 17, 5], { dtype: bfloat16 }), 1], tolerance: SUM },
      { name: 'all', args: (make) => [make([9, 33])], tolerance: SUM },
      {
        name: 'int32',
        args: (make) => [make([9, 3], { dtype: int32, fill: 'integer', low: -9, high: 9 }), 0],
        tolerance: SUM,
      },
    ]),
  ),
  ...[reduce.amax, reduce.amin, reduce.argmax].map((op) =>
    samples(op, [
      { name: 'last', args: (make) => [make([5, 301]), -1] },
      { name: 'middle, kept', args: (make) => [make([3, 17, 5]), 1, true] },
      { name: 'all, ties', args: (make) => [make([40], { fill: 'integer', low: 0, high: 3 })] },
    ]),
  ),
  samples(reduce.topk, [
    { name: '5 of 100', args: (make) => [make([3, 100], { dtype: float32 }), 5] },
    { name: 'ties', args: (make) => [make([2, 30], { fill: 'integer', low: 0, high: 4 }), 30] },
  ]),
];
