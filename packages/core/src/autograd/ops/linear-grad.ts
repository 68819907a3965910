// Gradients of linear y = x W^T: by its input g W, by its weight g^T x. They are ops, so that kinds and packed weights have
// forms of their own.
import { AoError } from '../../errors.ts';
import { isWrapped } from '../../kind.ts';
import { defineOp, type Meta } from '../../op.ts';
import { add, mul } from '../../ops/binary.ts';
import { requireFloat, shapeError } from '../../ops/checks.ts';
import { cast, cat } from '../../ops/copy.ts';
import { matmul } from '../../ops/matmul.ts';
import { permute, reshape } from '../../ops/views.ts';
import type { WeightFormat } from '../../packed.ts';
import { decode } from '../../reference/linear-weight.ts';
import { store, valuesOf } from '../../reference/memory.ts';
import { scope } from '../../scope.ts';
import type { Dense, Tensor } from '../../tensor.ts';

function inputMeta(op: string, g: Tensor, w: readonly number[]): Meta {
  requireFloat(op, 'g', g);
  if (w.length !== 2 || g.shape[g.ndim - 1] !== w[0]) {
    throw shapeError(op, `g [${g.shape}] does not fit the weight [${w}]`, 'give [..., N] and [N, K]');
  }
  return { shape: [...g.shape.slice(0, -1), w[1]!], dtype: g.dtype };
}

/** g [..., N] with a weight [N, K] in parts -> [..., K] in g's dtype; the weight's values take part as float32. */
export const linearGradInputWeight = /*@__PURE__*/ defineOp<
  [g: Tensor, codes: Tensor, scale: Tensor | undefined, zero: Tensor | undefined, format: WeightFormat]
>('linear_grad_input_weight', {
  meta: (g, _codes, _scale, _zero, f) => inputMeta('linear_grad_input_weight', g, [f.N, f.K]),
  reference(out: Dense, g: Dense, codes: Dense, scale: Dense | undefined, zero: Dense | undefined, f: WeightFormat) {
    const [values, w] = [valuesOf(g), decode(codes, scale, zero, f)];
    const result = new Float64Array(out.numel);
    for (let m = 0; m < values.length / f.N; m++) {
      for (let n = 0; n < f.N; n++) {
        for (let k = 0; k < f.K; k++) result[m * f.K + k]! += values[m * f.N + n]! * w[n * f.K + k]!;
      }
    }
    store(out, result);
  },
});

/**
 * g [..., N], w [N, K] (a weight as linear takes it: float, a kind, or packed) -> [..., K] in g's dtype, times the scale by
 * which the weight multiplies its input, where it has one.
 */
export const linearGradInput = /*@__PURE__*/ defineOp<[g: Tensor, w: Tensor]>('linear_grad_input', {
  weightArg: 1,
  meta: (g, w) => inputMeta('linear_grad_input', g, w.shape),
  decompose(g, w) {
    const parts = isWrapped(w) ? w.kind.spec.weight?.(w as never) : undefined;
    // a table that is data of the device is no part of a format
    if (parts == null || parts.table !== undefined) return matmul(g, g.rt.dequantize(w));
    return scope(() => {
      const gradient = linearGradInputWeight(g, parts.codes, parts.scale, parts.zero, parts.format);
      return parts.inputScale === undefined ? gradient : cast(mul(gradient, parts.inputScale), g.dtype);
    });
  },
});

/** The gradient of an x that several linears read: the sum of linearGradInput(gs[i], ws[i]), in one chain where ws are floats or packed. */
export const linearsGradInput = /*@__PURE__*/ defineOp<[gs: readonly Tensor[], ws: readonly Tensor[]]>(
  'linears_grad_input',
  {
    weightArg: 1,
    meta(gs, ws) {
      const metas = gs.map((g, i) => inputMeta('linears_grad_input', g, ws[i]?.shape ?? []));
      const [first] = metas;
      if (first === undefined || metas.some((m) => m.shape.join() !== first.shape.join() || m.dtype !== first.dtype)) {
        throw shapeError(
          'linears_grad_input',
          `the gradients [${gs.map((g) => `[${g.shape}] ${g.dtype.name}`)}] are not those of one x`,
          'give gradients of equal rows and dtype, and weights of equal in_features',
        );
      }
      return first;
    },
    decompose(gs, ws) {
      const floats = ws.every((w) => !isWrapped(w) && w.packed === null && w.dtype === gs[0]!.dtype);
      if (floats) return linearGradInput(cat(gs, -1), cat(ws, 0));
      return gs.map((g, i) => linearGradInput(g, ws[i]!)).reduce((a, b) => add(a, b));
    },
  },
);

/** g [..., N], x [..., K] -> [N, K] in x's dtype, float32 sums over rows in ascending order. */
export const linearGradWeight = /*@__PURE__*/ defineOp<[g: Tensor, x: Tensor]>('linear_grad_weight', {
  meta(g, x) {
    requireFloat('linear_grad_weight', 'g', g);
    if (g.dtype !== x.dtype) {
      throw new AoError('ERR_AO_DTYPE', `g is ${g.dtype.name}, x is ${x.dtype.name}`, {
        op: 'linear_grad_weight',
        fix: 'cast one of them',
      });
    }
    if (g.shape.slice(0, -1).join() !== x.shape.slice(0, -1).join()) {
      throw shapeError(
        'linear_grad_weight',
        `g [${g.shape}] and x [${x.shape}] have different rows`,
        'give equal leading sizes',
      );
    }
    return { shape: [g.shape[g.ndim - 1]!, x.shape[x.ndim - 1]!], dtype: x.dtype };
  },
  decompose(g, x) {
    const rows = (t: Tensor): Tensor => reshape(t, [-1, t.shape[t.ndim - 1]!]);
    return matmul(permute(rows(g), [1, 0]), rows(x));
  },
});
