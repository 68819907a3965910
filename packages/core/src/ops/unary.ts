// Elementwise functions of one tensor: out[i] = f(x[i]), same shape and dtype (float results of integers are float32).
import { float32 } from '../dtypes/index.ts';
import { defineOp, type Op } from '../op.ts';
import type { Tensor } from '../tensor.ts';
import { requireFloat } from './checks.ts';

type Unary = Op<[x: Tensor], Tensor>;

/** Functions that keep integers integers. */
const any = (id: string): Unary => defineOp(id, { meta: (x) => ({ shape: x.shape, dtype: x.dtype }) });

const floating = (id: string): Unary =>
  defineOp(id, {
    meta: (x) => {
      if (x.dtype.category !== 'float') return { shape: x.shape, dtype: float32 };
      requireFloat(id, 'x', x);
      return { shape: x.shape, dtype: x.dtype };
    },
  });

export const neg: Unary = /*@__PURE__*/ any('neg');
export const abs: Unary = /*@__PURE__*/ any('abs');
export const sign: Unary = /*@__PURE__*/ any('sign');
export const relu: Unary = /*@__PURE__*/ any('relu');
/** Half to even, as torch.round. */
export const round: Unary = /*@__PURE__*/ any('round');
export const floor: Unary = /*@__PURE__*/ any('floor');
export const ceil: Unary = /*@__PURE__*/ any('ceil');
export const exp: Unary = /*@__PURE__*/ floating('exp');
export const log: Unary = /*@__PURE__*/ floating('log');
export const sqrt: Unary = /*@__PURE__*/ floating('sqrt');
export const rsqrt: Unary = /*@__PURE__*/ floating('rsqrt');
export const reciprocal: Unary = /*@__PURE__*/ floating('reciprocal');
export const sin: Unary = /*@__PURE__*/ floating('sin');
export const cos: Unary = /*@__PURE__*/ floating('cos');
export const tanh: Unary = /*@__PURE__*/ floating('tanh');
export const erf: Unary = /*@__PURE__*/ floating('erf');
export const sigmoid: Unary = /*@__PURE__*/ floating('sigmoid');
/** x * sigmoid(x). */
export const silu: Unary = /*@__PURE__*/ floating('silu');
/** x/2 * (1 + erf(x/sqrt(2))). */
export const gelu: Unary = /*@__PURE__*/ floating('gelu');
/** x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))). */
export const geluTanh: Unary = /*@__PURE__*/ floating('gelu_tanh');

/** min(max(x, low), high); NaN stays NaN. */
export const clamp = /*@__PURE__*/ defineOp<[x: Tensor, low: number, high: number]>('clamp', {
  meta: (x) => ({ shape: x.shape, dtype: x.dtype }),
});
