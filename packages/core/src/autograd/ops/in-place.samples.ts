import { bfloat16, float16, float32, int32 } from '../../dtypes/index.ts';
import { normalOp, uniform_ } from '../../nn/init.ts';
import { type Make, type OpSamples, samples } from '../../sample.ts';
import { add_, clipByNorm_, mul_, sumOfSquares } from './accumulate.ts';
import { dropout, dropoutBackward } from './dropout.ts';

const SUM = { ulps: 8, rtol: 2 ** -20, why: 'squares add up in float32 within blocks' };
const ONCE = { ulps: 1, why: 'the exact result, rounded once or through float32' };
const FLOATS = [float32, bfloat16, float16];

const state = (make: Make) => make([2], { dtype: int32, fill: [-7, 41] });

export const inPlaceSamples = (): OpSamples[] => [
  samples(add_, [
    ...FLOATS.map((dtype) => ({
      name: dtype.name,
      args: (make: Make) => [make([5, 77], { dtype }), make([5, 77], { dtype })],
      tolerance: ONCE,
    })),
    { name: 'bfloat16 to float32', args: (make) => [make([5, 7]), make([5, 7], { dtype: bfloat16 })], tolerance: ONCE },
  ]),
  samples(
    mul_,
    FLOATS.flatMap((dtype) => [
      { name: `${dtype.name}, a number`, args: (make: Make) => [make([5, 77], { dtype }), 0.3], tolerance: ONCE },
      {
        name: `${dtype.name}, an element`,
        args: (make: Make) => [make([5, 77], { dtype }), make([1])],
        tolerance: ONCE,
      },
    ]),
  ),
  samples(sumOfSquares, [
    {
      name: 'several',
      args: (make) => [[make([5, 77]), make([3000], { dtype: bfloat16 }), make([1], { dtype: float16 })]],
      tolerance: SUM,
    },
  ]),
  samples(
    clipByNorm_,
    FLOATS.flatMap((dtype) =>
      [4, 0.25].map((norm) => ({
        name: `${dtype.name}, norm ${norm}`,
        args: (make: Make) => [make([5, 77], { dtype }), make([1], { fill: [norm] }), 1.5],
        tolerance: ONCE,
      })),
    ),
  ),
  samples(
    dropout,
    FLOATS.map((dtype) => ({
      name: dtype.name,
      refusesStrided: true as const,
      args: (make: Make) => [make([7, 41], { dtype }), 0.3, state(make)],
    })),
  ),
  samples(
    dropoutBackward,
    FLOATS.map((dtype) => ({ name: dtype.name, args: (make: Make) => [make([7, 41], { dtype }), 0.3, state(make)] })),
  ),
  samples(
    uniform_,
    FLOATS.map((dtype) => ({
      name: dtype.name,
      refusesStrided: true as const,
      args: (make: Make) => [make([7, 41], { dtype }), -0.3, 1.1, state(make)],
    })),
  ),
  samples(
    normalOp,
    FLOATS.flatMap((dtype) =>
      [
        { low: 0, high: 1, least: Number.NEGATIVE_INFINITY, most: Number.POSITIVE_INFINITY },
        { low: 0.01, high: 0.5, least: -2, most: 0.1 },
      ].map((part) => ({
        name: `${dtype.name}, probabilities ${part.low} to ${part.high}`,
        refusesStrided: true as const,
        args: (make: Make) => [make([70, 41], { dtype }), 0.1, 0.7, part, state(make)],
      })),
    ),
  ),
];
