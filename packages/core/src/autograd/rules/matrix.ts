// Derivatives of matrix products; the weight's kind or packing decides how the input's gradient reads it.
import type { VjpEntry } from '../../extension.ts';
import { linear, linearAdd, linears, matmul } from '../../ops/matmul.ts';
import { sum } from '../../ops/reduce.ts';
import { reshape, transpose } from '../../ops/views.ts';
import type { Tensor } from '../../tensor.ts';
import { linearGradInput, linearGradWeight, linearsGradInput } from '../ops/linear-grad.ts';
import { unbroadcast } from '../unbroadcast.ts';
import { vjp } from '../vjp.ts';

/** Sums over all rows: [..., N] -> [N]. */
const biasGrad = (g: Tensor): Tensor => sum(reshape(g, [-1, g.shape[g.ndim - 1]!]), 0);

export const matrixRules = (): VjpEntry[] => [
  vjp(matmul, ({ needs, save }, _, a, b) => {
    const [x, y] = [needs(1) ? save(a) : () => a, needs(0) ? save(b) : () => b];
    return (g) => [
      needs(0) ? unbroadcast(matmul(g, transpose(y(), -1, -2)), a) : null,
      needs(1) ? unbroadcast(matmul(transpose(x(), -1, -2), g), b) : null,
    ];
  }),
  vjp(linear, ({ needs, save }, _, x, w, b) => {
    const [input, weight] = [needs(1) ? save(x) : () => x, needs(0) ? save(w) : () => w];
    return (g) => [
      needs(0) ? linearGradInput(g, weight()) : null,
      needs(1) ? linearGradWeight(g, input()) : null,
      needs(2) && b !== undefined ? biasGrad(g) : null,
    ];
  }),
  vjp(linears, ({ needs, save }, _, x, ws, bs = []) => {
    const input = needs(1) ? save(x) : () => x;
    const weights = ws.map((w) => (needs(0) ? save(w) : () => w));
    return (gs) => [
      needs(0)
        ? linearsGradInput(
            gs,
            weights.map((w) => w()),
          )
        : null,
      gs.map((g, i) => (needs(1, i) ? linearGradWeight(g, input()) : null)),
      bs.map((b, i) => (b !== undefined && needs(2, i) ? biasGrad(gs[i]!) : null)),
    ];
  }),
  vjp(linearAdd, ({ needs, save }, _, x, w, b) => {
    const [input, weight] = [needs(1) ? save(x) : () => x, needs(0) ? save(w) : () => w];
    return (g) => [
      needs(0) ? linearGradInput(g, weight()) : null,
      needs(1) ? linearGradWeight(g, input()) : null,
      needs(2) && b !== undefined ? biasGrad(g) : null,
      needs(3) ? g : null,
    ];
  }),
];
