// Gradients of the norms over the last dimension, with x' = (x - mean) s or x s and w' = offset + w:
//   rms_norm    dx = s (g w' - x s^2 mean(g w' x)), dw = sum over rows of g x s, s = 1 / sqrt(mean(x^2) + eps)
//   layer_norm  dx = s (g w - mean(g w) - x' mean(g w x')), dw = sum g x', db = sum g, s = 1 / sqrt(var + eps)
import { defineOp, type Meta } from '../../op.ts';
import { requireFloat, requireSameDtype, requireShape } from '../../ops/checks.ts';
import { store, valuesOf } from '../../reference/memory.ts';
import type { Dense, Tensor } from '../../tensor.ts';

function check(op: string, g: Tensor, x: Tensor, w: Tensor): void {
  requireFloat(op, 'x', x);
  requireSameDtype(op, ['x', x], ['g', g]);
  requireShape(op, 'g', g, x.shape);
  requireSameDtype(op, ['x', x], ['w', w]);
  requireShape(op, 'w', w, [x.shape[x.ndim - 1] ?? 1]);
}

/** The metas of outputs like `of`; what is not needed is empty. */
export const wanted = (of: readonly Tensor[], needs: readonly boolean[]): Meta[] =>
  of.map((t, i) => ({ shape: needs[i] === false ? [0] : t.shape, dtype: t.dtype }));

const storeIf = (needed: boolean | undefined, out: Dense, values: Float64Array): void => {
  if (needed !== false) store(out, values);
};

function rmsNormReference(
  [dx, dw]: Dense[],
  g: Dense,
  x: Dense,
  w: Dense,
  eps: number,
  offset = 0,
  needs: readonly boolean[] = [],
): void {
  const [gv, xv, wv] = [valuesOf(g), valuesOf(x), valuesOf(w)];
  const n = wv.length;
  const byX = new Float64Array(xv.length);
  const byW = new Float64Array(n);
  for (let at = 0; at < xv.length; at += n) {
    let [squares, dot] = [0, 0];
    for (let i = 0; i < n; i++) {
      squares += xv[at + i]! ** 2 / n;
      dot += (gv[at + i]! * (offset + wv[i]!) * xv[at + i]!) / n;
    }
    const s = 1 / Math.sqrt(squares + eps);
    for (let i = 0; i < n; i++) {
      byX[at + i] = s * (gv[at + i]! * (offset + wv[i]!) - xv[at + i]! * s * s * dot);
      byW[i]! += gv[at + i]! * xv[at + i]! * s;
    }
  }
  storeIf(needs[0], dx!, byX);
  storeIf(needs[1], dw!, byW);
}

/** g, x [..., D], w [D], all of one dtype -> [dx, dw]; what `needs` has false for is an empty tensor. */
export const rmsNormBackward = /*@__PURE__*/ defineOp<
  [g: Tensor, x: Tensor, w: Tensor, eps: number, offset?: number, needs?: readonly [dx: boolean, dw: boolean]],
  [dx: Tensor, dw: Tensor]
>('rms_norm_backward', {
  reference: rmsNormReference,
  meta(g, x, w, _eps, _offset, needs = [true, true]) {
    check('rms_norm_backward', g, x, w);
    return wanted([x, w], needs) as [Meta, Meta];
  },
});

function layerNormReference(
  [dx, dw, db]: Dense[],
  g: Dense,
  x: Dense,
  w: Dense,
  eps: number,
  needs: readonly boolean[] = [],
): void {
  const [gv, xv, wv] = [valuesOf(g), valuesOf(x), valuesOf(w)];
  const n = wv.length;
  const [byX, byW, byB] = [new Float64Array(xv.length), new Float64Array(n), new Float64Array(n)];
  for (let at = 0; at < xv.length; at += n) {
    let [mean, square, a, b] = [0, 0, 0, 0];
    for (let i = 0; i < n; i++) mean += xv[at + i]! / n;
    for (let i = 0; i < n; i++) square += (xv[at + i]! - mean) ** 2 / n;
    const s = 1 / Math.sqrt(square + eps);
    const normal = (i: number): number => (xv[at + i]! - mean) * s;
    for (let i = 0; i < n; i++) {
      a += (gv[at + i]! * wv[i]!) / n;
      b += (gv[at + i]! * wv[i]! * normal(i)) / n;
    }
    for (let i = 0; i < n; i++) {
      byX[at + i] = s * (gv[at + i]! * wv[i]! - a - normal(i) * b);
      byW[i]! += gv[at + i]! * normal(i);
      byB[i]! += gv[at + i]!;
    }
  }
  storeIf(needs[0], dx!, byX);
  storeIf(needs[1], dw!, byW);
  storeIf(needs[2], db!, byB);
}

/** g, x [..., D], w [D], all of one dtype -> [dx, dw, db]; what `needs` has false for is an empty tensor. */
export const layerNormBackward = /*@__PURE__*/ defineOp<
  [g: Tensor, x: Tensor, w: Tensor, eps: number, needs?: readonly [dx: boolean, dw: boolean, db: boolean]],
  [dx: Tensor, dw: Tensor, db: Tensor]
>('layer_norm_backward', {
  reference: layerNormReference,
  meta(g, x, w, _eps, needs = [true, true, true]) {
    check('layer_norm_backward', g, x, w);
    return wanted([x, w, w], needs) as [Meta, Meta, Meta];
  },
});
