// k-means of scalars in groups: Lloyd's steps from quantiles of a normal distribution of density^(1/3), which is where the best
// codebook of many values lies. Codebooks stay sorted, so that the nearest of 2^b values is b comparisons with midpoints.
import {
  AoError,
  abs,
  add,
  amax,
  amin,
  cast,
  cat,
  defineOp,
  div,
  eq,
  float32,
  gather,
  gt,
  int32,
  maximum,
  mean,
  minimum,
  mul,
  slice,
  sqrt,
  sub,
  sum,
  type Tensor,
  tensor,
  uint8,
  where,
  zeros,
} from '@ao/core';

/** Inverse of the normal distribution function by bisection; p in (0, 1). */
function normalQuantile(p: number): number {
  // Abramowitz and Stegun 7.1.26, 1.5e-7 off at most: a start needs no more.
  const below = (x: number): number => {
    const z = Math.abs(x) / Math.SQRT2;
    const t = 1 / (1 + 0.3275911 * z);
    const poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    const tail = (poly * Math.exp(-z * z)) / 2;
    return x < 0 ? tail : 1 - tail;
  };
  let [low, high] = [-8, 8];
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (below(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Where `size` values of a normal distribution start, in deviations from the mean. */
export const startingSpots = (size: number): Float32Array =>
  Float32Array.from({ length: size }, (_, j) => Math.sqrt(3) * normalQuantile((j + 0.5) / size));

function start(x: Tensor, size: number): Tensor {
  const spots = startingSpots(size);
  const middle = mean(x, 1, true);
  const off = sub(x, middle);
  const deviation = sqrt(mean(mul(off, off), 1, true));
  const wanted = add(mul(tensor(x.rt, spots, { shape: [1, size], device: x.device }), deviation), middle);
  return minimum(maximum(wanted, amin(x, 1, true)), amax(x, 1, true));
}

/** Index of the nearest codebook value, int32 [G, n]; codebooks [G, 2^bits] are sorted. */
export function nearestCode(x: Tensor, codebook: Tensor, bits: number): Tensor {
  const size = 2 ** bits;
  const edges = div(add(slice(codebook, 1, 0, size - 1), slice(codebook, 1, 1, size)), 2);
  let index: Tensor = zeros(x.rt, x.shape, { dtype: int32, device: x.device });
  for (let half = size / 2; half >= 1; half /= 2) {
    const above = gt(x, gather(edges, 1, add(index, half - 1)));
    index = add(index, mul(cast(above, int32), half));
  }
  return index;
}

/** Means of each cluster; an empty one keeps its value. */
function centres(x: Tensor, codes: Tensor, codebook: Tensor): Tensor {
  const size = codebook.shape[1] as number;
  const columns = Array.from({ length: size }, (_, j) => {
    const mine = cast(eq(codes, j), float32);
    const count = sum(mine, 1, true);
    return where(gt(count, 0), div(sum(mul(mine, x), 1, true), maximum(count, 1)), slice(codebook, 1, j, j + 1));
  });
  return cat(columns, 1);
}

/** Lloyd's steps of codebooks of 2^bits values: fewer for more values, which start closer. */
export const stepsOf = (bits: number): number => (bits <= 4 ? 25 : 8);

/** x float32 [G, n] -> codebooks float32 [G, 2^bits], ascending, and codes uint8 [G, n]. */
export const kMeans = /*@__PURE__*/ defineOp<[x: Tensor, bits: number], [codebook: Tensor, codes: Tensor]>('k_means', {
  meta(x, bits) {
    if (x.dtype !== float32 || x.ndim !== 2 || x.numel === 0 || !Number.isInteger(bits) || bits < 1 || bits > 8) {
      throw new AoError('ERR_AO_SHAPE', `x is ${x.dtype.name}[${x.shape}], bits ${bits}`, {
        op: 'k_means',
        fix: 'give float32 [groups, values] and 1 to 8 bits',
      });
    }
    return [
      { shape: [x.shape[0] as number, 2 ** bits], dtype: float32 },
      { shape: x.shape, dtype: uint8 },
    ];
  },
  decompose(x, bits) {
    let codebook = start(x, 2 ** bits);
    for (let step = 0; step < stepsOf(bits); step++) codebook = centres(x, nearestCode(x, codebook, bits), codebook);
    return [codebook, cast(nearestCode(x, codebook, bits), uint8)];
  },
});

/** Largest absolute value of groups of a row as their scale, 1 for a group of zeros. */
export function absmaxScale(groups: Tensor): Tensor {
  const peak = amax(abs(groups), groups.ndim - 1, true);
  return where(eq(peak, 0), 1, peak);
}
