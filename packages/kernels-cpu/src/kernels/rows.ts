// Reductions, softmax, cross entropy and norms.
import * as ao from '@ao/core';
import { cast, type Dense, type KernelEntry, kernel } from '@ao/core';
import { address, around, calls, rows } from './support.ts';

/** Codes of the reduce kernel. */
const REDUCE = [ao.sum, ao.mean, ao.amax, ao.amin] as const;

export const rowKernels = (): KernelEntry[] => [
  ...REDUCE.map((op, code) =>
    kernel(op, 'cpu', (out, x, dim) =>
      ao.scope(() => {
        const typed = (op === ao.mean && x.dtype.category !== 'float' ? cast(x, ao.float32) : x) as Dense;
        const { outer, n, inner } = around(typed, dim);
        calls(out).reduce(address(out), address(typed), outer, n, inner, typed.dtype.code, out.dtype.code, code);
      }),
    ),
  ),
  kernel(ao.argmax, 'cpu', (out, x, dim) => {
    const { outer, n, inner } = around(x, dim);
    calls(out).argmax(address(out), address(x), outer, n, inner, x.dtype.code, 0);
  }),
  kernel(ao.topk, 'cpu', ([values, indices], x, k) => {
    const { rows: count, n } = rows(x);
    calls(x).topk(address(values), address(indices), address(x), count, n, k, x.dtype.code);
  }),
  ...[ao.softmax, ao.logSoftmax].map((op, log) =>
    kernel(op, 'cpu', (out, x) => {
      const { rows: count, n } = rows(x);
      calls(out).softmax(address(out), address(x), count, n, x.dtype.code, log);
    }),
  ),
  kernel(ao.negativeLogLikelihood, 'cpu', (out, logits, targets, ignoreIndex) => {
    const [count, vocab] = logits.shape as [number, number];
    calls(out).cross_entropy(
      address(out),
      address(logits),
      address(targets),
      count,
      vocab,
      vocab,
      logits.dtype.code,
      ignoreIndex,
    );
  }),
  kernel(ao.rmsNorm, 'cpu', (out, x, w, eps, offset = 0) => {
    const { rows: count, n } = rows(x);
    calls(out).rms_norm(address(out), address(x), address(w), count, n, n, x.dtype.code, eps, offset);
  }),
  kernel(ao.layerNorm, 'cpu', (out, x, w, b, eps) => {
    const { rows: count, n } = rows(x);
    calls(out).layer_norm(address(out), address(x), address(w), address(b), count, n, n, x.dtype.code, eps);
  }),
  kernel(ao.siluMul, 'cpu', (out, gate, up) => {
    const { rows: count, n } = rows(out);
    calls(out).silu_mul(address(out), address(gate), address(up), count, n, n, n, out.dtype.code);
  }),
];
