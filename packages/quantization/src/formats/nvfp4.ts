// NVFP4 (torchao's nvfp4_quantize): e2m1 codes in blocks of 16 of a row, scales in e4m3, and with two levels a float32 scale t:
//   t = amax(x) / (448 * 6);  s = e4m3(clamp(amax(block) / 6 / t, 2^-6, 448));  q = e2m1(x * (1 / t) / s)
// One level: t = 1 and x * (1 / s). The value is q * (t * s). A tensor of zeros has t = 0 and codes 0.
import {
  abs,
  amax,
  cast,
  clamp,
  type Dense,
  type DType,
  div,
  eq,
  f32ToFloatxUnpacked,
  float8_e4m3fn,
  float32,
  floatxUnpackedToF32,
  floatxValues,
  mul,
  reshape,
  type Tensor,
  unsqueeze,
  where,
} from '@ao/core';
import { cropped, padded } from '../kinds/short-blocks.ts';
import { packUint4, unpackUint4 } from './nibbles.ts';

const F4_MAX = 6;
const F8_MAX = 448;
const F8_TINY = 2 ** -6;

const [EBITS, MBITS] = [2, 1];
let table: Float32Array | undefined;

/** The value of each e2m1 code. */
export function e2m1Table(): Float32Array {
  table ??= floatxValues(EBITS, MBITS);
  return table;
}

/** uint8 codes -> float32 values. */
export const decodeE2m1 = (codes: Tensor): Tensor => floatxUnpackedToF32(codes, EBITS, MBITS);

/** t of a whole tensor, float32 []. */
export const perTensorScale = (x: Tensor): Tensor => div(cast(amax(abs(x)), float32), F8_MAX * F4_MAX);

const notZero = (t: Tensor): Tensor => where(eq(t, 0), 1, t);

/** Codes two to a byte [..., ceil(K / 2)] and scales e4m3 [..., ceil(K / blockSize)]. */
export function nvfp4Quantize(x: Tensor, blockSize: number, t: Tensor | undefined): { qdata: Tensor; scale: Tensor } {
  const block = x.shape.map((_, i) => (i === x.ndim - 1 ? blockSize : 1));
  const whole = padded(cast(x, float32), block);
  const blocks = reshape(whole, [...x.shape.slice(0, -1), -1, blockSize]);
  const wanted = div(amax(abs(blocks), x.ndim), F4_MAX);
  const scale = cast(clamp(t === undefined ? wanted : div(wanted, notZero(t)), F8_TINY, F8_MAX), float8_e4m3fn);
  const inverse = div(t === undefined ? 1 : div(1, notZero(t)), cast(scale, float32));
  const values = clamp(mul(blocks, unsqueeze(inverse, x.ndim)), -F4_MAX, F4_MAX);
  const codes = f32ToFloatxUnpacked(cropped(reshape(values, whole.shape), x.shape), EBITS, MBITS);
  return { qdata: packUint4(codes), scale };
}

/** t * s of each block, float32. */
export const nvfp4Scales = (scale: Tensor, t: Tensor | undefined): Tensor =>
  t === undefined ? cast(scale, float32) : mul(t, cast(scale, float32));

/** Values in `dtype` [..., columns]. */
export function nvfp4Dequantize(
  qdata: Tensor,
  scale: Tensor,
  t: Tensor | undefined,
  blockSize: number,
  columns: number,
  dtype: DType,
): Dense {
  const lead = qdata.shape.slice(0, -1);
  const codes = unpackUint4(qdata, columns);
  const block = codes.shape.map((_, i) => (i === codes.ndim - 1 ? blockSize : 1));
  const values = reshape(decodeE2m1(padded(codes, block)), [...lead, -1, blockSize]);
  const scaled = mul(values, unsqueeze(nvfp4Scales(scale, t), qdata.ndim));
  return cropped(cast(reshape(scaled, [...lead, -1]), dtype), [...lead, columns]) as Dense;
}
