// SupermaskLinear: a mask that is learned by scores, one for each tile of blocksize x blocksize weights. The weight is read times the
// mask: 1 where a score is at least the percentile of all scores that sparsityLevel names. Gradients pass straight through both: the
// weight gets the product's, a score the sum over its tile.
import {
  AoError,
  cast,
  cat,
  defineOp,
  type Entry,
  expand,
  ge,
  keep,
  Linear,
  linear,
  minimum,
  mul,
  noGrad,
  philox,
  reshape,
  scope,
  slice,
  sum,
  type Tensor,
  tensor,
  topk,
  zeros,
} from '@ao/core';
import { vjp } from '@ao/core/autograd';

const SCORES_MAX = 9e9;

/** Python's round, half to even. */
const rounded = (x: number): number => (x % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

/** [a, b] -> [a B, b B], each value a tile, cut to `shape`. */
function tiles(t: Tensor, B: number, [N, K]: readonly [number, number]): Tensor {
  const [a, b] = t.shape as [number, number];
  const spread = reshape(expand(reshape(t, [a, 1, b, 1]), [a, B, b, B]), [a * B, b * B]);
  return slice(slice(spread, 0, 0, N), 1, 0, K);
}

/** Sums of tiles of g [N, K], the last ones short. */
function tileSums(g: Tensor, B: number): Tensor {
  const [N, K] = g.shape as [number, number];
  const [down, across] = [Math.ceil(N / B) * B - N, Math.ceil(K / B) * B - K];
  const like = { dtype: g.dtype, device: g.device };
  const wide = across === 0 ? g : cat([g, zeros(g.rt, [N, across], like)], 1);
  const whole = down === 0 ? wide : cat([wide, zeros(g.rt, [down, K + across], like)], 0);
  return sum(sum(reshape(whole, [(N + down) / B, B, (K + across) / B, B]), 3), 1);
}

/** The mask [N, K] of scores [ceil(N / B), ceil(K / B)], in their dtype. */
export function supermask(scores: Tensor, sparsity: number, B: number, shape: readonly [number, number]): Tensor {
  return scope(() => {
    const clamped = minimum(scores, SCORES_MAX);
    const k = 1 + rounded(sparsity * (scores.numel - 1));
    const [largest] = topk(reshape(clamped, [-1]), scores.numel - k + 1);
    const least = slice(largest!, 0, scores.numel - k, scores.numel - k + 1);
    return tiles(cast(ge(clamped, least), scores.dtype), B, shape);
  });
}

const maskedWeight = /*@__PURE__*/ defineOp<[weight: Tensor, scores: Tensor, sparsity: number, B: number]>(
  'supermask_weight',
  {
    meta: (weight) => ({ shape: weight.shape, dtype: weight.dtype }),
    decompose: (weight, scores, sparsity, B) =>
      scope(() => mul(weight, supermask(scores, sparsity, B, weight.shape as [number, number]))),
  },
);

export const supermaskRule = (): Entry =>
  vjp(maskedWeight, ({ needs }, _out, _weight, _scores, _sparsity, B) => (g) => [
    needs(0) ? g : null,
    needs(1) ? tileSums(g, B) : null,
    null,
    null,
  ]);

export interface SupermaskOptions {
  readonly sparsityLevel?: number;
  readonly blocksize?: number;
  readonly seed?: number;
}

export class SupermaskLinear extends Linear {
  scores: Tensor;
  readonly sparsityLevel: number;
  readonly blocksize: number;

  /** scores [ceil(N / blocksize), ceil(K / blocksize)] in the weight's dtype. Throws ERR_AO_CONFIG for a level that leaves no tile. */
  constructor(weight: Tensor, bias: Tensor | undefined, scores: Tensor, sparsityLevel: number, blocksize: number) {
    super(weight, bias);
    const most = 1 - 1 / scores.numel;
    if (!(sparsityLevel >= 0 && sparsityLevel <= most)) {
      throw new AoError('ERR_AO_CONFIG', `SupermaskLinear: a sparsity of ${sparsityLevel} of ${scores.numel} tiles`, {
        fix: `give 0 to ${most}`,
      });
    }
    this.scores = scores;
    this.sparsityLevel = sparsityLevel;
    this.blocksize = blocksize;
  }

  /** torchao's from_linear: the linear's own weight and bias, with random scores that train. */
  static fromLinear(
    own: Linear,
    { sparsityLevel = 0, blocksize = 1, seed = 0 }: SupermaskOptions = {},
  ): SupermaskLinear {
    const { weight, bias } = own;
    const shape = weight.shape.map((n) => Math.ceil(n / blocksize));
    const bound = 1 / Math.sqrt(shape[1]!);
    const count = shape[0]! * shape[1]!;
    const words = Float32Array.from({ length: count }, (_, i) => (philox(seed, i, 0)[0] / 2 ** 32) * 2 * bound - bound);
    const scores = keep(tensor(weight.rt, words, { shape, dtype: weight.dtype, device: weight.device }));
    scores.requiresGrad = true;
    return new SupermaskLinear(weight, bias, scores, sparsityLevel, blocksize);
  }

  getMask(): Tensor {
    return noGrad(() =>
      supermask(this.scores, this.sparsityLevel, this.blocksize, this.weight.shape as [number, number]),
    );
  }

  /** A Linear of the masked weight. */
  toLinear(): Linear {
    const weight = keep(noGrad(() => scope(() => mul(this.weight, this.getMask()))));
    return new Linear(weight, this.bias);
  }

  override forward(x: Tensor): Tensor {
    return linear(x, maskedWeight(this.weight, this.scores, this.sparsityLevel, this.blocksize), this.bias);
  }
}
