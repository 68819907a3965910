import { bfloat16, bool, float16, float32, int32 } from '../dtypes/index.ts';
import { type Make, type OpSamples, samples } from '../sample.ts';
import * as binary from './binary.ts';

const ARITHMETIC = [binary.add, binary.sub, binary.mul, binary.div, binary.maximum, binary.minimum];
const COMPARE = [binary.eq, binary.ne, binary.lt, binary.le, binary.gt, binary.ge];

export const binarySamples = (): OpSamples[] => [
  ...ARITHMETIC.map((op) =>
    samples(op, [
      ...[float32, bfloat16, float16].map((dtype) => ({
        name: `${dtype.name} equal shapes`,
        args: (make: Make) => [make([2, 19], { dtype }), make([2, 19], { dtype })],
      })),
      { name: 'broadcast both', args: (make) => [make([4, 1, 5]), make([3, 1])] },
      { name: 'number', args: (make) => [make([7]), 0.3] },
      { name: 'number first', args: (make) => [2, make([7])] },
      { name: 'mixed dtypes', args: (make) => [make([7], { dtype: bfloat16 }), make([7])] },
    ]),
  ),
  samples(binary.add, [
    {
      name: 'int32',
      args: (make) => [
        make([9], { dtype: int32, fill: 'integer', low: -50, high: 50 }),
        make([9], { dtype: int32, fill: 'integer', low: -50, high: 50 }),
      ],
    },
  ]),
  ...COMPARE.map((op) =>
    samples(op, [
      {
        name: 'int32 against a number',
        args: (make) => [make([3, 9], { dtype: int32, fill: 'integer', low: -2, high: 3 }), 0],
      },
      { name: 'float32 broadcast', args: (make) => [make([3, 9]), make([9])] },
    ]),
  ),
  samples(binary.pow, [
    {
      name: 'positive base',
      args: (make) => [make([11], { fill: 'uniform', low: 0.1, high: 3 }), 1.7],
      tolerance: { ulps: 16, rtol: 2 ** -20, why: 'exp(y log x) in float32' },
    },
  ]),
  samples(binary.where, [
    {
      name: 'broadcast',
      args: (make) => [make([3, 5], { dtype: bool, fill: 'integer', low: 0, high: 2 }), make([5]), -1],
    },
  ]),
];
