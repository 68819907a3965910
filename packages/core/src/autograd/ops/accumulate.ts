// What gradients go through between backward and the optimizer, in place: accumulation, scaling, and clipping by a norm that stays on the
// device.
import { float32, float64 } from '../../dtypes/index.ts';
import { AoError } from '../../errors.ts';
import { defineOp } from '../../op.ts';
import { requireDtype, requireFloat, requireShape, shapeError } from '../../ops/checks.ts';
import { rounding, store, valuesOf } from '../../reference/memory.ts';
import { type Dense, isTensor, type Tensor } from '../../tensor.ts';

/** out + x, written to `out`: equal shapes; x is read in out's dtype, computed in float32, rounded once. */
export const add_ = /*@__PURE__*/ defineOp<[out: Tensor, x: Tensor]>('add_', {
  mutates: 0,
  reference(out: Dense, _: Dense, x: Dense) {
    const [a, b] = [valuesOf(out), valuesOf(x)];
    const to = (v: number): number => out.dtype.decode(out.dtype.encode(v));
    store(
      out,
      Float64Array.from(a, (v, i) => v + (x.dtype === out.dtype ? b[i]! : to(b[i]!))),
    );
  },
  meta(out, x) {
    requireFloat('add_', 'out', out);
    requireFloat('add_', 'x', x);
    requireShape('add_', 'x', x, out.shape);
    return { shape: out.shape, dtype: out.dtype };
  },
});

function scaleReference(out: Dense, factor: number): void {
  const f = rounding(out);
  store(
    out,
    Float64Array.from(valuesOf(out), (v) => v * f(factor)),
  );
}

/** out * x, written to `out`; x a number, or one element of float32 on the device (float64 beside float64). */
export const mul_ = /*@__PURE__*/ defineOp<[out: Tensor, x: Tensor | number]>('mul_', {
  mutates: 0,
  reference: (out: Dense, _: Dense, x: Dense | number) =>
    scaleReference(out, typeof x === 'number' ? x : valuesOf(x)[0]!),
  meta(out, x) {
    requireFloat('mul_', 'out', out);
    if (isTensor(x)) {
      requireDtype('mul_', 'x', x, [out.dtype === float64 ? float64 : float32]);
      if (x.numel !== 1) throw shapeError('mul_', `x has shape [${x.shape}]`, 'give a number or one element');
    } else if (typeof x !== 'number') {
      throw new AoError('ERR_AO_DTYPE', `x is ${String(x)}`, { op: 'mul_', fix: 'give a number or one element' });
    }
    return { shape: out.shape, dtype: out.dtype };
  },
});

/** The sum of the squares of all elements of all tensors: float32 [1], double between, tensors in order. */
export const sumOfSquares = /*@__PURE__*/ defineOp<[tensors: readonly Tensor[]]>('sum_of_squares', {
  reference(out: Dense, tensors: Dense[]) {
    let sum = 0;
    for (const t of tensors) for (const v of valuesOf(t)) sum += v * v;
    store(out, [sum]);
  },
  meta(tensors) {
    for (const [i, t] of tensors.entries()) requireFloat('sum_of_squares', `tensor ${i}`, t);
    return { shape: [1], dtype: tensors[0]!.dtype === float64 ? float64 : float32 };
  },
});

/** grad * min(1, maxNorm / (norm + 1e-6)), written to `grad`: torch's clip_grad_norm_ for a norm [1] that lies on the device. */
export const clipByNorm_ = /*@__PURE__*/ defineOp<[grad: Tensor, norm: Tensor, maxNorm: number]>('clip_by_norm_', {
  mutates: 0,
  reference(out: Dense, _: Dense, norm: Dense, maxNorm: number) {
    const f = rounding(out);
    const wanted = f(f(maxNorm) / f(valuesOf(norm)[0]! + f(1e-6)));
    scaleReference(out, wanted > 1 ? 1 : wanted);
  },
  meta(grad, norm, maxNorm) {
    requireFloat('clip_by_norm_', 'grad', grad);
    requireDtype('clip_by_norm_', 'norm', norm, [grad.dtype === float64 ? float64 : float32]);
    requireShape('clip_by_norm_', 'norm', norm, [1]);
    if (!(maxNorm > 0)) {
      throw new AoError('ERR_AO_CONFIG', `maxNorm is ${maxNorm}`, {
        op: 'clip_by_norm_',
        fix: 'give a number above 0',
      });
    }
    return { shape: grad.shape, dtype: grad.dtype };
  },
});
