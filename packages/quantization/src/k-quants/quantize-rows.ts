// The formulas of this folder on tensors, so that a weight is quantized on its own device: all blocks at once, one step of the
// search after the other. Sums are float32 here (float64 in quantizeKQuant), which moves a code where two grids lose alike.
import {
  abs,
  add,
  amax,
  amin,
  cast,
  clamp,
  div,
  eq,
  float16,
  float32,
  gt,
  lt,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  reshape,
  round,
  sqrt,
  sub,
  sum,
  type Tensor,
  where,
} from '@ao/core';
import { K_QUANTS, type KQuantName, SUPER_BLOCK } from './formats.ts';

export interface BlockQuantized {
  /** float32 [N, K], whole numbers from -2^(bits - 1) to 2^(bits - 1) - 1. */
  readonly codes: Tensor;
  /** float32 [N, K / block]: w = codes scale, or codes scale + offset. */
  readonly scale: Tensor;
  readonly offset?: Tensor;
}

interface Found {
  readonly scale: Tensor;
  readonly min: Tensor;
}

const STEPS = 20;
const SIGNED_STEPS = 9;

const stored = (x: Tensor): Tensor => cast(cast(x, float16), float32);
const total = (x: Tensor): Tensor => sum(x, 1, true);
/** a / b, 0 where b is 0. */
const ratio = (a: Tensor, b: Tensor): Tensor => where(eq(b, 0), 0, div(a, where(eq(b, 0), 1, b)));

/** w float32 [N, K] by a K-quant; 256 divides K. */
export function quantizeKRows(w: Tensor, format: KQuantName): BlockQuantized {
  const f = K_QUANTS[format];
  const [N, K] = w.shape as [number, number];
  const x = reshape(w, [-1, f.block]);
  const per = SUPER_BLOCK / f.block;
  const shift = 2 ** (f.bits - 1);
  const perBlock = (t: Tensor): Tensor => reshape(t, [N, K / f.block]);
  if (!f.minima) {
    const scale = roundedScales(searchScales(x, shift), per, f.scaleBits, true);
    const codes = clamp(round(ratio(x, scale)), -shift, shift - 1);
    return { codes: reshape(codes, [N, K]), scale: perBlock(scale) };
  }
  const found = searchScalesAndMinima(x, 2 * shift - 1);
  const scale = roundedScales(found.scale, per, f.scaleBits, false);
  const min = roundedScales(found.min, per, f.scaleBits, false);
  const codes = sub(clamp(round(ratio(add(x, min), scale)), 0, 2 * shift - 1), shift);
  return {
    codes: reshape(codes, [N, K]),
    scale: perBlock(scale),
    offset: perBlock(sub(mul(scale, shift), min)),
  };
}

/** w float32 [N, K] in blocks of 32 whose scale is a float16: Q8_0 by the largest magnitude, Q4_0 with that value at the long end. */
export function quantizeBlockRows(w: Tensor, bits: 4 | 8): BlockQuantized {
  const [N, K] = w.shape as [number, number];
  const x = reshape(w, [-1, 32]);
  const half = 2 ** (bits - 1);
  const scale = stored(bits === 8 ? div(amax(abs(x), 1, true), half - 1) : div(peakOf(x), -half));
  const codes = clamp(round(ratio(x, scale)), bits === 8 ? 1 - half : -half, half - 1);
  return { codes: reshape(codes, [N, K]), scale: reshape(scale, [N, K / 32]) };
}

/** The value of largest magnitude of each block, with its sign. */
function peakOf(x: Tensor): Tensor {
  const [low, high] = [amin(x, 1, true), amax(x, 1, true)];
  return where(gt(neg(low), high), low, high);
}

function searchScalesAndMinima(x: Tensor, top: number): Found {
  const weight = add(abs(x), sqrt(mean(mul(x, x), 1, true)));
  const low = minimum(amin(x, 1, true), 0);
  const range = sub(amax(x, 1, true), low);
  const lossOf = ({ scale, min }: Found): Tensor => {
    const q = clamp(round(ratio(add(x, min), scale)), 0, top);
    const off = sub(sub(mul(q, scale), min), x);
    return total(mul(weight, mul(off, off)));
  };
  // a block of one value has no range, and no fit that is better
  const some = where(eq(range, 0), 1, range);
  let best: Found = { scale: div(range, top), min: neg(low) };
  let least = lossOf(best);
  const [s, sw] = [total(weight), total(mul(weight, x))];
  for (let step = 0; step <= STEPS; step++) {
    const inverse = div(top - 1 + (2 * step) / STEPS, some);
    const q = clamp(round(mul(sub(x, low), inverse)), 0, top);
    const wq = mul(weight, q);
    const [sq, sqq, sqw] = [total(wq), total(mul(wq, q)), total(mul(wq, x))];
    const determinant = sub(mul(s, sqq), mul(sq, sq));
    const min = ratio(sub(mul(sq, sqw), mul(sqq, sw)), determinant);
    // a minimum above 0 cannot be stored: the block starts at 0 then
    const below = lt(min, 0);
    const free = ratio(sub(mul(s, sqw), mul(sq, sw)), determinant);
    const fitted = { scale: where(below, ratio(sqw, sqq), free), min: maximum(min, 0) };
    const loss = lossOf(fitted);
    const better = mul(cast(lt(loss, least), float32), cast(gt(determinant, 0), float32));
    const pick = (a: Tensor, b: Tensor): Tensor => where(gt(better, 0), a, b);
    best = { scale: pick(fitted.scale, best.scale), min: pick(fitted.min, best.min) };
    least = pick(loss, least);
  }
  return best;
}

/** Scales of codes -half .. half - 1; the value of largest magnitude lies at the long end, so that a scale may be negative. */
function searchScales(x: Tensor, half: number): Tensor {
  const weight = mul(x, x);
  const peak = peakOf(x);
  const some = where(eq(peak, 0), 1, peak);
  let best: Tensor = mul(peak, 0);
  let most: Tensor = best;
  for (let step = -SIGNED_STEPS; step <= SIGNED_STEPS; step++) {
    const inverse = div(-(half + 0.1 * step), some);
    const q = clamp(round(mul(x, inverse)), -half, half - 1);
    const wq = mul(weight, q);
    const [sqq, sqw] = [total(mul(wq, q)), total(mul(wq, x))];
    const fitted = ratio(sqw, sqq);
    // what the best scale of these codes explains of sum weight x^2
    const explained = mul(fitted, sqw);
    const better = gt(explained, most);
    best = where(better, fitted, best);
    most = where(better, explained, most);
  }
  return best;
}

/** Scales [blocks, 1] as a super-block stores them: whole numbers of `bits` bits times a float16, of which the largest is exact. */
function roundedScales(scale: Tensor, per: number, bits: number, signed: boolean): Tensor {
  const x = reshape(scale, [-1, per]);
  const [low, high] = signed ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
  const d = stored(signed ? div(peakOf(x), low) : div(maximum(amax(x, 1, true), 0), high));
  return reshape(mul(clamp(round(ratio(x, d)), low, high), d), [-1, 1]);
}
