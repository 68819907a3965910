// square8: an 8-bit code c in -127..127 stands for c |c| / 127^2, in [-1, 1]. Steps are fine near zero, where most weights of
// a trained model are, and coarse at the ends.
import { AoError, castTo, defineDType, float32, kernel } from '@ao/core';
import { address } from '@ao/kernels-cpu';
import { native } from './library.mjs';

/** The nearest code; values beyond 1 saturate. */
function encode(x) {
  if (Number.isNaN(x)) {
    throw new AoError('ERR_AO_DTYPE', 'square8 has no code for NaN', { op: 'cast', fix: 'mend the tensor first' });
  }
  // |x| 127^2 exceeds the middle (c + 1/2)^2 + 1/4 of the squares of c and c + 1
  const root = Math.floor(Math.sqrt(Math.max(Math.abs(x) * 16129 - 0.25, 0)) + 0.5);
  return Math.sign(x) * Math.min(root, 127);
}

export const square8 = /*@__PURE__*/ defineDType({
  name: 'square8',
  bits: 8,
  itemsize: 1,
  category: 'float',
  code: 64, // 0 to 63 belong to @ao/core
  safetensors: 'SQUARE8',
  array: Int8Array,
  values: Float32Array,
  encode,
  decode: (c) => Math.fround((c * Math.abs(c)) / 16129),
  min: -1,
  max: 1,
  smallestNormal: 1 / 16129,
  eps: 253 / 16129, // from 126^2 to 127^2
});

const encodeOnCpu = /*@__PURE__*/ native('square8_encode');
const decodeOnCpu = /*@__PURE__*/ native('square8_decode');

/** cast() to and from float32. The reference backend needs none: it goes by encode and decode above. */
export const castKernels = () => [
  kernel(castTo, 'cpu', (out, x) => encodeOnCpu(out, address(out), address(x), x.numel), {
    name: 'square8_encode',
    priority: 1,
    when: (x, dtype) => x.dtype === float32 && dtype === square8,
  }),
  kernel(castTo, 'cpu', (out, x) => decodeOnCpu(out, address(out), address(x), x.numel), {
    name: 'square8_decode',
    priority: 1,
    when: (x, dtype) => x.dtype === square8 && dtype === float32,
  }),
];
