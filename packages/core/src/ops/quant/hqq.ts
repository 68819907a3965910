// HQQ, half-quadratic quantization of groups of a row.
//   Full: W ~ (q - zero) / s; s = qmax / (max - min); 20 proximal steps on zero:
//     e = W - (q - zero) / s;  shrunk = sign(e) relu(|e| - |e|^(p-1) / beta);  zero = mean(q - (W - shrunk) s);  beta *= kappa
//     p = 0.7, beta = 10, kappa = 1.01; stops when mean |e| stops falling.
// Sums are by halves (halvedSum), so that every backend finds the same bits.
//   Scale only: alternate q = clamp(round(W / s)) and s = sum(W q) / sum(q q), 20 steps, until s moves by less than 1e-5.

import { full } from '../../create.ts';
import type { DType } from '../../dtype.ts';
import { bool, float32, int8, uint8 } from '../../dtypes/index.ts';
import { AoError } from '../../errors.ts';
import { defineOp, type Meta } from '../../op.ts';
import { scope } from '../../scope.ts';
import type { Tensor } from '../../tensor.ts';
import { add, div, ge, gt, lt, maximum, minimum, mul, pow, sub, where } from '../binary.ts';
import { requireFloat, requireNdim, shapeError } from '../checks.ts';
import { cast } from '../copy.ts';
import { halvedSum } from '../halved-sum.ts';
import { amax, amin, sum } from '../reduce.ts';
import { abs, clamp, neg, reciprocal, relu, round, sign } from '../unary.ts';
import { reshape } from '../views.ts';
import type { QuantRange } from './quant-range.ts';

const EPS = 2 ** -23;

function groupsMeta(op: string, x: Tensor, groupSize: number, code: DType, params: number, dtype: DType): Meta[] {
  requireFloat(op, 'input', x);
  requireNdim(op, 'input', x, 2);
  const [n, k] = x.shape as [number, number];
  if (!Number.isInteger(groupSize) || groupSize < 1 || k % groupSize !== 0) {
    throw shapeError(op, `the group size ${groupSize} does not divide ${k} columns`, 'use a divisor of the columns');
  }
  const shape = [n, k / groupSize];
  return [{ shape: x.shape, dtype: code }, ...Array.from({ length: params }, () => ({ shape, dtype }))];
}

export interface HqqOptions {
  /** dtype of scale and zero point; the input's unless given. */
  readonly computeDtype?: DType | undefined;
  /** true: w = (q - zero) * scale; false: tinygemm's w = (q - mid) * scale + zero. */
  readonly rawOutput?: boolean | undefined;
}

type Hqq = [input: Tensor, nbits: number, groupSize: number, options?: HqqOptions];

/** uint8 codes 0..2^nbits - 1 [N, K], scale and zero point [N, K / groupSize]. */
export const chooseQparamsAndQuantizeAffineHqq = /*@__PURE__*/ defineOp<
  Hqq,
  [codes: Tensor, scale: Tensor, zeroPoint: Tensor]
>('choose_qparams_and_quantize_affine_hqq', {
  meta(x, nbits, groupSize, o = {}) {
    const op = 'choose_qparams_and_quantize_affine_hqq';
    if (!Number.isInteger(nbits) || nbits < 1 || nbits > 8) {
      throw new AoError('ERR_AO_CONFIG', `nbits is ${nbits}`, { op, fix: 'use 1 to 8 bits' });
    }
    return groupsMeta(op, x, groupSize, uint8, 2, o.computeDtype ?? x.dtype) as [Meta, Meta, Meta];
  },
  decompose(input, nbits, groupSize, o = {}) {
    const w = reshape(cast(input, float32), [-1, groupSize]);
    const top = 2 ** nbits - 1;
    const low = amin(w, 1, true);
    const scale = minimum(mul(reciprocal(sub(amax(w, 1, true), low)), top), 2e4);
    const start = mul(neg(low), scale);
    const zero = improvedZero(w, scale, nbits === 4 ? round(start) : start, top);
    const codes = cast(quantized(w, scale, zero, top), uint8);
    const out = reciprocal(scale);
    const point = o.rawOutput === true ? zero : mul(sub(2 ** (nbits - 1), zero), out);
    const dtype = o.computeDtype ?? input.dtype;
    const shape = [input.shape[0] as number, -1];
    return [reshape(codes, input.shape), reshape(cast(out, dtype), shape), reshape(cast(point, dtype), shape)];
  },
});

const quantized = (w: Tensor, scale: Tensor, zero: Tensor, top: number): Tensor =>
  clamp(round(add(mul(w, scale), zero)), 0, top);

/** 20 proximal steps; once the error stops falling, `running` holds zero where it is, as torchao's early stop does. */
function improvedZero(w: Tensor, scale: Tensor, first: Tensor, top: number): Tensor {
  let zero = first;
  let beta = 10;
  let best: Tensor = full(w.rt, [], 1e4, { device: w.device });
  let running = ge(best, 0);
  // A step's temporaries, each as large as the weight, go before the next step begins.
  for (let step = 0; step < 20; step++) {
    [zero, running, best] = scope((): [Tensor, Tensor, Tensor] => {
      const q = quantized(w, scale, zero, top);
      const e = sub(w, div(sub(q, zero), scale));
      const size = abs(e);
      const shrunk = mul(sign(e), relu(sub(size, mul(pow(size, 0.7 - 1), 1 / beta))));
      const error = div(halvedSum(reshape(halvedSum(size), [-1])), size.numel);
      const falls = cast(mul(cast(running, float32), cast(lt(error, best), float32)), bool);
      const next = where(running, div(halvedSum(sub(q, mul(sub(w, shrunk), scale))), w.shape[1]!), zero);
      return [next, falls, minimum(best, error)];
    });
    beta *= 1.01;
  }
  return zero;
}

/** int8 codes [N, K] in `range` and symmetric scales [N, K / groupSize] in the input's dtype. */
export const chooseQparamsAndQuantizeScaleOnlyHqq = /*@__PURE__*/ defineOp<
  [input: Tensor, groupSize: number, range: QuantRange],
  [codes: Tensor, scale: Tensor]
>('choose_qparams_and_quantize_scale_only_hqq', {
  meta: (x, groupSize) =>
    groupsMeta('choose_qparams_and_quantize_scale_only_hqq', x, groupSize, int8, 1, x.dtype) as [Meta, Meta],
  decompose(input, groupSize, { quantMin, quantMax }) {
    const w = reshape(cast(input, float32), [-1, groupSize]);
    const peak = Math.max(Math.abs(quantMin), Math.abs(quantMax)) || 1;
    let scale = maximum(div(amax(abs(w), 1, true), peak), EPS);
    let running = ge(full(w.rt, [], 1, { device: w.device }), 0);
    const codes = (s: Tensor): Tensor => clamp(round(div(w, s)), quantMin, quantMax);
    for (let step = 0; step < 20; step++) {
      [scale, running] = scope((): [Tensor, Tensor] => {
        const q = codes(scale);
        const square = sum(mul(q, q), 1, true);
        const next = maximum(where(gt(square, 0), div(halvedSum(mul(w, q)), square), scale), EPS);
        const moved = amax(div(abs(sub(next, scale)), maximum(scale, EPS)));
        const moves = cast(mul(cast(running, float32), cast(ge(moved, 1e-5), float32)), bool);
        return [where(running, next, scale), moves];
      });
    }
    return [
      reshape(cast(codes(scale), int8), input.shape),
      reshape(cast(scale, input.dtype), [input.shape[0] as number, -1]),
    ];
  },
});
