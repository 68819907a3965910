// Samples of the gradients of linear: dtypes, ragged edges, several weights, and weights in codes.
import { bfloat16, float16, float32, int8 } from '../../dtypes/index.ts';
import type { WeightFormat } from '../../packed.ts';
import { type Make, type OpSamples, samples } from '../../sample.ts';
import { linearGradInput, linearGradInputWeight, linearGradWeight, linearsGradInput } from './linear-grad.ts';

const SUM = { ulps: 16, rtol: 2 ** -17, why: 'float32 sums in another order than the exact ones' };

const format = (f: Partial<WeightFormat>): WeightFormat => ({
  code: 'int8',
  N: 19,
  K: 40,
  groupSize: 16,
  zeroDomain: 'none',
  activation: 'exact',
  ...f,
});
const scales = (make: Make) => make([19, 3], { fill: 'uniform', low: 0.01, high: 0.1 });

export const linearGradSamples = (): OpSamples[] => [
  samples(linearGradInput, [
    ...[float32, bfloat16, float16].map((dtype) => ({
      name: `${dtype.name}, ragged`,
      args: (make: Make) => [make([2, 7, 33], { dtype }), make([33, 71], { dtype })],
      tolerance: SUM,
    })),
    { name: 'many rows', args: (make) => [make([130, 96]), make([96, 48])], tolerance: SUM },
  ]),
  samples(linearsGradInput, [
    ...[float32, bfloat16].map((dtype) => ({
      name: `three, ${dtype.name}`,
      args: (make: Make) => {
        const n = [16, 8, 9];
        return [n.map((i) => make([3, 5, i], { dtype })), n.map((i) => make([i, 40], { dtype }))];
      },
      tolerance: SUM,
    })),
  ]),
  samples(linearGradInputWeight, [
    {
      name: 'int8 with zero points',
      args: (make) => [
        make([5, 19]),
        make([19, 40], { dtype: int8, fill: 'integer', low: -128, high: 128 }),
        scales(make),
        make([19, 3], { dtype: int8, fill: 'integer', low: -9, high: 9 }),
        format({ zeroDomain: 'int' }),
      ],
      tolerance: SUM,
    },
    {
      name: 'int4, bfloat16 gradients',
      args: (make) => [
        make([2, 3, 19], { dtype: bfloat16 }),
        make([19, 20], { dtype: int8, fill: 'integer', low: -128, high: 128 }),
        scales(make),
        undefined,
        format({ code: 'int4' }),
      ],
      tolerance: SUM,
    },
  ]),
  samples(linearGradWeight, [
    ...[float32, bfloat16, float16].map((dtype) => ({
      name: `${dtype.name}, ragged`,
      args: (make: Make) => [make([2, 7, 33], { dtype }), make([2, 7, 21], { dtype })],
      tolerance: SUM,
    })),
    { name: 'many rows', args: (make) => [make([130, 50]), make([130, 48])], tolerance: SUM },
  ]),
];
