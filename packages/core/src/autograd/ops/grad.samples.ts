import type { DType } from '../../dtype.ts';
import { bfloat16, float16, float32, int32 } from '../../dtypes/index.ts';
import { logSoftmax, softmax } from '../../ops/softmax.ts';
import { type Make, type OpSamples, samples } from '../../sample.ts';
import type { Tensor } from '../../tensor.ts';
import { geluBackward, geluTanhBackward, siluBackward, siluMulBackward } from './activation-grad.ts';
import { attentionBackward, attentionWithLse } from './attention-grad.ts';
import { embeddingGradWeight, gatherBackward } from './indexing-grad.ts';
import { linearCrossEntropyBackward, linearCrossEntropyOp } from './linear-cross-entropy.ts';
import { layerNormBackward, rmsNormBackward } from './norm-grad.ts';
import { crossEntropyBackward, logSoftmaxBackward, softmaxBackward } from './softmax-grad.ts';

const SUM = { ulps: 16, rtol: 2 ** -16, why: 'float32 sums in another order than the exact ones' };
const EXP = { ulps: 16, rtol: 2 ** -17, why: 'exp of at most 2 ulp, sums in another order' };
const SCORES = {
  ulps: 16,
  rtol: 2 ** -4,
  why: 'probabilities of 16 bits where the processor multiplies pairs of them, in the output too, which is rounded and of which little is left',
};
const LOGITS = { ulps: 16, rtol: 2 ** -7, why: 'logits and their gradients are rounded to the dtype between' };
const FLOATS = [float32, bfloat16, float16];

const index = (make: Make, shape: readonly number[], high: number): Tensor =>
  make(shape, { dtype: int32, fill: 'integer', low: 0, high });

type Heads = readonly [batch: number, tokens: number, heads: number, kv: number, keys: number, dim: number];

/** g, q, k, v, out, lse, pos, mask, options; out and lse are attention's own. */
function attended(
  make: Make,
  [b, t, h, kv, s, d]: Heads,
  dtype: DType = float32,
  options = {},
  pos?: Tensor,
  mask?: Tensor,
): Parameters<typeof attentionBackward> {
  const [g, q] = [make([b, t, h, d], { dtype }), make([b, t, h, d], { dtype })];
  const [k, v] = [make([b, kv, s, d], { dtype }), make([b, kv, s, d], { dtype })];
  return [g, q, k, v, ...attentionWithLse(q, k, v, pos, mask, options), pos, mask, options];
}

export const gradSamples = (): OpSamples[] => [
  samples(
    rmsNormBackward,
    FLOATS.flatMap((dtype) => [
      {
        name: dtype.name,
        args: (make: Make) => [make([2, 20, 72], { dtype }), make([2, 20, 72], { dtype }), make([72], { dtype }), 1e-5],
        tolerance: SUM,
      },
      {
        name: `${dtype.name}, 1 added to the weight, dx alone`,
        args: (make: Make) => [
          make([4, 33], { dtype }),
          make([4, 33], { dtype }),
          make([33], { dtype }),
          1e-5,
          1,
          [true, false],
        ],
        tolerance: SUM,
      },
    ]),
  ),
  samples(
    layerNormBackward,
    FLOATS.flatMap((dtype) =>
      [undefined, [false, true, true]].map((needs) => ({
        name: `${dtype.name}${needs === undefined ? '' : ', weight and bias alone'}`,
        args: (make: Make) => [
          make([2, 20, 72], { dtype }),
          make([2, 20, 72], { dtype }),
          make([72], { dtype }),
          1e-5,
          needs,
        ],
        tolerance: SUM,
      })),
    ),
  ),
  ...[siluBackward, geluBackward, geluTanhBackward].map((op) =>
    samples(
      op,
      FLOATS.map((dtype) => ({
        name: dtype.name,
        args: (make: Make) => [make([4, 73], { dtype }), make([4, 73], { dtype })],
        tolerance: EXP,
      })),
    ),
  ),
  samples(
    siluMulBackward,
    FLOATS.map((dtype) => ({
      name: dtype.name,
      args: (make: Make) => [make([4, 73], { dtype }), make([4, 73], { dtype }), make([4, 73], { dtype })],
      tolerance: EXP,
    })),
  ),
  ...(
    [
      [softmaxBackward, softmax],
      [logSoftmaxBackward, logSoftmax],
    ] as const
  ).map(([op, forward]) =>
    samples(
      op,
      FLOATS.map((dtype) => ({
        name: dtype.name,
        args: (make: Make) => [make([5, 77], { dtype }), forward(make([5, 77], { dtype }))],
        tolerance: SUM,
      })),
    ),
  ),
  samples(
    crossEntropyBackward,
    FLOATS.map((dtype) => ({
      name: `${dtype.name}, one ignored`,
      args: (make: Make) => [
        make([4]),
        make([4, 100], { dtype }),
        make([4], { dtype: int32, fill: [1, -100, 99, 0] }),
        -100,
      ],
      tolerance: EXP,
    })),
  ),
  samples(
    embeddingGradWeight,
    FLOATS.map((dtype) => ({
      name: dtype.name,
      args: (make: Make) => [make([3, 30, 24], { dtype }), index(make, [3, 30], 11), 13],
      tolerance: SUM,
    })),
  ),
  samples(gatherBackward, [
    {
      name: 'last',
      args: (make) => [make([3, 40]), 1, index(make, [3, 40], 9), [3, 9]],
      tolerance: SUM,
    },
    {
      name: 'middle of a larger one, bfloat16',
      args: (make) => [make([2, 5, 3], { dtype: bfloat16 }), -2, index(make, [2, 5, 3], 4), [3, 4, 6]],
      tolerance: SUM,
    },
    {
      name: 'first',
      args: (make) => [make([5, 7]), 0, index(make, [5, 7], 3), [3, 7]],
      tolerance: SUM,
    },
  ]),
  samples(attentionWithLse, [
    ...FLOATS.map((dtype) => ({
      name: `${dtype.name}, causal, grouped queries`,
      args: (make: Make) => {
        const [, q, k, v, , , ...rest] = attended(make, [2, 40, 6, 2, 300, 16], dtype, { causal: true });
        return [q, k, v, ...rest] as Parameters<typeof attentionWithLse>;
      },
      tolerance: dtype === float32 ? SUM : SCORES,
    })),
    {
      name: 'one query, positions, window, bias',
      args: (make) => {
        const pos = make([2], { dtype: int32, fill: [700, 5] });
        const options = { causal: true, window: 40 };
        const [, q, k, v, , , ...rest] = attended(make, [2, 1, 4, 2, 900, 32], float32, options, pos, make([1, 900]));
        return [q, k, v, ...rest] as Parameters<typeof attentionWithLse>;
      },
      tolerance: SUM,
    },
  ]),
  samples(attentionBackward, [
    ...FLOATS.map((dtype) => ({
      name: `${dtype.name}, causal, grouped queries`,
      args: (make: Make) => attended(make, [2, 60, 6, 2, 64, 16], dtype, { causal: true }),
      tolerance: dtype === float32 ? SUM : SCORES,
    })),
    {
      name: 'all keys, a size of its own',
      args: (make) => attended(make, [1, 20, 2, 2, 50, 33], float32, {}),
      tolerance: SUM,
    },
    {
      name: 'a bias of each head',
      args: (make) => attended(make, [2, 3, 4, 2, 70, 16], float32, {}, undefined, make([1, 4, 3, 70])),
      tolerance: SUM,
    },
    {
      name: 'window, soft cap, positions',
      args: (make) =>
        attended(
          make,
          [2, 20, 4, 2, 90, 16],
          float32,
          { causal: true, window: 40, softcap: 1.5 },
          make([2], { dtype: int32, fill: [70, 5] }),
        ),
      tolerance: SUM,
    },
    {
      name: 'bfloat16, window, soft cap, positions',
      args: (make) =>
        attended(
          make,
          [2, 20, 4, 2, 90, 24],
          bfloat16,
          { causal: true, window: 40, softcap: 1.5 },
          make([2], { dtype: int32, fill: [70, 5] }),
        ),
      tolerance: SCORES,
    },
    {
      name: 'several parts',
      args: (make) => attended(make, [1, 200, 3, 1, 204, 8], float32, { causal: true }),
      tolerance: SUM,
    },
  ]),
  samples(
    linearCrossEntropyOp,
    [float32, bfloat16].map((dtype) => ({
      name: dtype.name,
      args: (make: Make) => [make([9, 40], { dtype }), [make([50, 40], { dtype })], index(make, [9], 50), 3],
      tolerance: dtype === float32 ? SUM : LOGITS,
    })),
  ),
  samples(
    linearCrossEntropyBackward,
    [float32, bfloat16].map((dtype) => ({
      name: dtype.name,
      args: (make: Make) => [make([9]), make([9, 40], { dtype }), [make([50, 40], { dtype })], index(make, [9], 50), 3],
      tolerance: dtype === float32 ? SUM : LOGITS,
    })),
  ),
];
