import { bfloat16, float16, float32, int32 } from '../dtypes/index.ts';
import { type OpSamples, samples } from '../sample.ts';
import * as unary from './unary.ts';

const FLOATS = [float32, bfloat16, float16];

/** Functions that IEEE rounds correctly give equal bits; the rest are allowed two ulps of float32. */
const EXACT = [
  unary.neg,
  unary.abs,
  unary.sign,
  unary.relu,
  unary.round,
  unary.floor,
  unary.ceil,
  unary.sqrt,
  unary.reciprocal,
];
const CLOSE = [
  unary.exp,
  unary.rsqrt,
  unary.sin,
  unary.cos,
  unary.tanh,
  unary.erf,
  unary.sigmoid,
  unary.silu,
  unary.gelu,
  unary.geluTanh,
];

export const unarySamples = (): OpSamples[] => [
  ...EXACT.map((op) =>
    samples(
      op,
      FLOATS.map((dtype) => ({
        name: dtype.name,
        args: (make) => [make([3, 37], { dtype, ...(op === unary.sqrt ? { fill: 'uniform', low: 0, high: 9 } : {}) })],
      })),
    ),
  ),
  ...CLOSE.map((op) =>
    samples(
      op,
      FLOATS.map((dtype) => ({
        name: dtype.name,
        args: (make) => [
          make([3, 37], { dtype, ...(op === unary.rsqrt ? { fill: 'uniform', low: 0.01, high: 9 } : {}) }),
        ],
        tolerance: { ulps: 4, rtol: 2 ** -22, why: 'polynomials of at most 2 ulp, composed' },
      })),
    ),
  ),
  samples(unary.log, [
    {
      name: 'positive',
      args: (make) => [make([3, 37], { fill: 'uniform', low: 0.01, high: 100 })],
      tolerance: { ulps: 2, rtol: 2 ** -22, why: 'a polynomial of at most 2 ulp' },
    },
  ]),
  samples(unary.neg, [
    { name: 'int32', args: (make) => [make([5], { dtype: int32, fill: 'integer', low: -9, high: 9 })] },
  ]),
  samples(unary.clamp, [{ name: 'float32', args: (make) => [make([4, 5]), -0.5, 0.5] }]),
];
