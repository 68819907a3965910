// Derivatives of views, copies and indexing: gradients move back to where the elements came from.
import { zeros } from '../../create.ts';
import type { VjpEntry } from '../../extension.ts';
import { contiguousOp } from '../../ops/contiguous.ts';
import { castTo, cat, clone, copy_ } from '../../ops/copy.ts';
import * as views from '../../ops/views.ts';
import type { Tensor } from '../../tensor.ts';
import { unbroadcast } from '../unbroadcast.ts';
import { vjp } from '../vjp.ts';

/** Zeros of x's shape with g in a slice. */
function padded(g: Tensor, x: Tensor, dim: number, start: number, end?: number, step?: number): Tensor {
  const out = zeros(g.rt, x.shape, { dtype: g.dtype, device: g.device });
  copy_(views.slice(out, dim, start, end, step), g);
  return out;
}

export const movementRules = (): VjpEntry[] => [
  vjp(views.reshape, (_, __, x) => (g) => [views.reshape(g, [...x.shape]), null]),
  vjp(views.squeeze, (_, __, x) => (g) => [views.reshape(g, [...x.shape]), null]),
  vjp(views.unsqueeze, (_, __, x) => (g) => [views.reshape(g, [...x.shape]), null]),
  vjp(views.permute, (_, __, x, dims) => (g) => {
    const back = new Array<number>(x.ndim);
    for (const [i, d] of dims.entries()) back[d < 0 ? d + x.ndim : d] = i;
    return [views.permute(g, back), null];
  }),
  vjp(views.slice, (_, __, x, dim, start, end, step) => (g) => [padded(g, x, dim, start, end, step)]),
  vjp(views.expand, (_, __, x) => (g) => [unbroadcast(g, x), null]),
  vjp(contiguousOp, () => (g) => [g]),
  vjp(clone, () => (g) => [g]),
  vjp(castTo, (_, __, x) => (g) => [castTo(g, x.dtype), null]),
  vjp(cat, ({ needs }, _, tensors, dim = 0) => (g) => {
    let at = 0;
    return [
      tensors.map((t, i) => {
        const n = t.shape[dim < 0 ? dim + t.ndim : dim]!;
        at += n;
        return needs(0, i) ? views.slice(g, dim, at - n, at) : null;
      }),
    ];
  }),
];
