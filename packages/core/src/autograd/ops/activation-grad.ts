// Gradients of activations, dx = g f'(x), and of the gate silu(gate) up.
import { defineOp, type Op } from '../../op.ts';
import { requireFloat, requireSameDtype, requireShape } from '../../ops/checks.ts';
import { erf } from '../../reference/elementwise.ts';
import { store, valuesOf } from '../../reference/memory.ts';
import type { Dense, Tensor } from '../../tensor.ts';

function check(op: string, like: readonly [string, Tensor], ...others: readonly (readonly [string, Tensor])[]): void {
  requireFloat(op, ...like);
  for (const [name, t] of others) {
    requireSameDtype(op, like, [name, t]);
    requireShape(op, name, t, like[1].shape);
  }
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

const siluSlope = (x: number): number => {
  const s = sigmoid(x);
  return s * (1 + x * (1 - s));
};
const geluSlope = (x: number): number =>
  (1 + erf(x * Math.SQRT1_2)) / 2 + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
const geluTanhSlope = (x: number): number => {
  const k = 2 * Math.sqrt(2 / Math.PI);
  const s = sigmoid(k * (x + 0.044715 * x ** 3));
  return s + x * s * (1 - s) * k * (1 + 3 * 0.044715 * x * x);
};

function define(id: string, slope: (x: number) => number): Op<[g: Tensor, x: Tensor], Tensor> {
  return defineOp(id, {
    reference(out: Dense, g: Dense, x: Dense) {
      const gv = valuesOf(g);
      store(
        out,
        Float64Array.from(valuesOf(x), (v, i) => gv[i]! * slope(v)),
      );
    },
    meta(g, x) {
      check(id, ['x', x], ['g', g]);
      return { shape: x.shape, dtype: x.dtype };
    },
  });
}

/** s (1 + x (1 - s)) g with s = sigmoid(x): g and x of one shape and dtype. */
export const siluBackward = /*@__PURE__*/ define('silu_backward', siluSlope);
/** (Phi(x) + x phi(x)) g of the normal distribution. */
export const geluBackward = /*@__PURE__*/ define('gelu_backward', geluSlope);
/** The slope of x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)), times g. */
export const geluTanhBackward = /*@__PURE__*/ define('gelu_tanh_backward', geluTanhSlope);

/** Of silu(gate) up, all of one shape and dtype: [g up silu'(gate), g silu(gate)]. */
export const siluMulBackward = /*@__PURE__*/ defineOp<
  [g: Tensor, gate: Tensor, up: Tensor],
  [dgate: Tensor, dup: Tensor]
>('silu_mul_backward', {
  reference([dgate, dup]: Dense[], g: Dense, gate: Dense, up: Dense) {
    const [gv, xv, uv] = [valuesOf(g), valuesOf(gate), valuesOf(up)];
    store(
      dgate!,
      Float64Array.from(xv, (x, i) => gv[i]! * uv[i]! * siluSlope(x)),
    );
    store(
      dup!,
      Float64Array.from(xv, (x, i) => gv[i]! * x * sigmoid(x)),
    );
  },
  meta(g, gate, up) {
    check('silu_mul_backward', ['gate', gate], ['g', g], ['up', up]);
    const meta = { shape: gate.shape, dtype: gate.dtype };
    return [meta, meta];
  },
});
