// square8Linear, an op with a kernel in JavaScript for the reference backend and one in C++ for the cpu:
//   out[..., n] = sum_k x[..., k] w[n, k] + b[n]     w[n, k] = value(codes[n, k]) scale[n, k / G],  G = K / scale.shape[1]
import { AoError, defineOp, float32, kernel, store, valuesOf } from '@ao/core';
import { address } from '@ao/kernels-cpu';
import { square8 } from './dtype.mjs';
import { native } from './library.mjs';

const show = (t) => `${t.dtype.name}[${t.shape}]`;

/** x [..., K] float32, codes [N, K] square8, scale [N, K / G] float32, b [N] float32 or absent -> [..., N] float32. */
export const square8Linear = /*@__PURE__*/ defineOp('square8_linear', {
  meta(x, codes, scale, b) {
    const [N, K] = codes.shape;
    const op = 'square8_linear';
    if (codes.dtype !== square8 || [x, scale, b].some((t) => t !== undefined && t.dtype !== float32)) {
      const got = [x, codes, scale].map(show).join(', ');
      throw new AoError('ERR_AO_DTYPE', `it got ${got}`, {
        op,
        fix: 'codes are square8, all else is float32: cast(t, dtype)',
      });
    }
    if (codes.ndim !== 2 || scale.ndim !== 2 || scale.shape[0] !== N || K % scale.shape[1] !== 0) {
      throw new AoError('ERR_AO_SHAPE', `scale ${show(scale)} does not fit codes ${show(codes)}`, {
        op,
        fix: 'give codes [N, K] and scale [N, K / group]',
      });
    }
    if (x.shape.at(-1) !== K || (b !== undefined && (b.ndim !== 1 || b.shape[0] !== N))) {
      const bias = b === undefined ? '' : ` or b ${show(b)}`;
      throw new AoError('ERR_AO_SHAPE', `x ${show(x)}${bias} does not fit codes ${show(codes)}`, {
        op,
        fix: `give x [..., ${K}] and b [${N}]`,
      });
    }
    return { shape: [...x.shape.slice(0, -1), N], dtype: float32 };
  },
});

/** Exact products summed in double and rounded once: what other backends are compared with. */
function reference(out, x, codes, scale, b) {
  const [N, K] = codes.shape;
  const group = K / scale.shape[1];
  const [xs, ws, ss, bs] = [valuesOf(x), valuesOf(codes), valuesOf(scale), b && valuesOf(b)];
  const result = new Float64Array(out.numel);
  for (let i = 0; i < result.length; i++) {
    const [m, n] = [Math.floor(i / N), i % N];
    let sum = bs === undefined ? 0 : bs[n];
    for (let k = 0; k < K; k++) {
      const w = Math.fround(ws[n * K + k] * ss[n * (K / group) + Math.floor(k / group)]);
      sum += xs[m * K + k] * w;
    }
    result[i] = sum;
  }
  store(out, result);
}

const linearOnCpu = /*@__PURE__*/ native('square8_linear');

/** The record holds the fields that square8.cc describes, in order; 0 stands for an absent tensor. */
function onCpu(out, x, codes, scale, b) {
  const [N, K] = codes.shape;
  const addresses = [out, x, codes, scale].map(address);
  linearOnCpu(out, ...addresses, b ? address(b) : 0, x.numel / K, N, K, K / scale.shape[1]);
}

export const linearKernels = () => [kernel(square8Linear, 'reference', reference), kernel(square8Linear, 'cpu', onCpu)];
