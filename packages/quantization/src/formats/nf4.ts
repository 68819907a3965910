// NF4, QLoRA's normal floats with doubly quantized scales (torchao's NF4Tensor). The flat weight in blocks of 64:
//   s = amax of a block;  code = nearest of 16 values to x / s;  m = mean of all s
//   f = 256 / (2 amax(s - m)) over 256 scales;  qs = clamp(round((s - m) f), -128, 127) in int8
//   x' = value of the code * (qs / f + m)
// Every step rounds to x's dtype. A block of zeros has the code of 0, and equal scales have f = 1, where torchao divides by 0.
import {
  abs,
  add,
  amax,
  cast,
  clamp,
  div,
  embedding,
  encodeArray,
  eq,
  expand,
  float32,
  full,
  halvedSum,
  int8,
  int32,
  lt,
  minimum,
  mul,
  reshape,
  round,
  slice,
  sub,
  type Tensor,
  tensor,
  uint8,
  where,
} from '@ao/core';
import { cropped, padded } from '../kinds/short-blocks.ts';
import { packUint4, unpackUint4 } from './nibbles.ts';

/** The 16 values, as torchao rounds them. */
export const NF4: readonly number[] = /*@__PURE__*/ Object.freeze([
  -1, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0, 0.0796, 0.1609, 0.2461, 0.3379, 0.4407, 0.5626, 0.723, 1,
]);
const ZERO_CODE = 7;

export interface NF4Parts {
  /** uint8 [ceil(numel / 2)], the first value high. */
  readonly quantized_data: Tensor;
  /** int8 [blocks]. */
  readonly quantized_scalers: Tensor;
  /** x's dtype, [ceil(blocks / scalerBlockSize)]. */
  readonly quantization_factor: Tensor;
  /** x's dtype, []. */
  readonly scaler_mean: Tensor;
  /** The 16 values in x's dtype. */
  readonly nf4: Tensor;
}

/** The values in x's dtype, as numbers. */
export function nf4Values(dtype: Tensor['dtype']): number[] {
  return Array.from(encodeArray(dtype, NF4), (raw) => dtype.decode(raw));
}

function nearest(x: Tensor): Tensor {
  let best: Tensor | undefined;
  let code: Tensor | undefined;
  nf4Values(x.dtype).forEach((value, i) => {
    const off = abs(sub(x, value));
    const closer = best === undefined ? undefined : lt(off, best);
    code = code === undefined ? full(x.rt, x.shape, 0, { device: x.device }) : where(closer as Tensor, i, code);
    best = best === undefined ? off : minimum(best, off);
  });
  return cast(code as Tensor, uint8);
}

function quantizeScalers(
  scalers: Tensor,
  blockSize: number,
): Pick<NF4Parts, 'quantized_scalers' | 'quantization_factor' | 'scaler_mean'> {
  // in float32 and by halves: the same bits on every device
  const m = cast(reshape(div(halvedSum(cast(scalers, float32)), scalers.numel), []), scalers.dtype);
  const blocks = reshape(padded(sub(scalers, m), [blockSize]), [-1, blockSize]);
  const peak = amax(abs(blocks), 1, true);
  const factor = where(eq(peak, 0), 1, div(256, mul(peak, 2)));
  const q = clamp(round(mul(blocks, factor)), -128, 127);
  return {
    quantized_scalers: cast(cropped(reshape(q, [-1]), scalers.shape), int8),
    quantization_factor: reshape(factor, [-1]),
    scaler_mean: m,
  };
}

/** x of any shape, flat, in blocks of blockSize; the last block may be short. */
export function nf4Quantize(x: Tensor, blockSize: number, scalerBlockSize: number): NF4Parts {
  const flat = reshape(x, [-1]);
  const blocks = reshape(padded(flat, [blockSize]), [-1, blockSize]);
  const scalers = amax(abs(blocks), 1);
  const s = reshape(scalers, [-1, 1]);
  const codes = where(eq(s, 0), ZERO_CODE, cast(nearest(div(blocks, where(eq(s, 0), 1, s))), int32));
  return {
    quantized_data: packUint4(cast(cropped(reshape(codes, [-1]), flat.shape), uint8), 'high'),
    ...quantizeScalers(scalers, scalerBlockSize),
    nf4: tensor(x.rt, NF4, { dtype: x.dtype, device: x.device }),
  };
}

/** The scale of each block, in the dtype of the mean. */
export function nf4Scalers(parts: Omit<NF4Parts, 'quantized_data' | 'nf4'>, scalerBlockSize: number): Tensor {
  const { quantized_scalers: q, quantization_factor: f, scaler_mean: m } = parts;
  const blocks = q.numel;
  const each = slice(reshape(expand(reshape(f, [-1, 1]), [f.numel, scalerBlockSize]), [-1]), 0, 0, blocks);
  return add(div(cast(q, m.dtype), each), m);
}

/** Codes uint8 [numel]. */
export const nf4Codes = (data: Tensor, numel: number): Tensor => unpackUint4(data, numel, 'high');

/** uint8 codes of any shape -> values in the dtype of `nf4`. */
export const decodeNf4 = (codes: Tensor, nf4: Tensor): Tensor =>
  reshape(embedding(reshape(nf4, [16, 1]), cast(codes, int32)), codes.shape);

/** The values, flat. */
export function nf4Dequantize(parts: NF4Parts, numel: number, blockSize: number, scalerBlockSize: number): Tensor {
  const codes = padded(nf4Codes(parts.quantized_data, numel), [blockSize]);
  const values = reshape(decodeNf4(codes, parts.nf4), [-1, blockSize]);
  return cropped(reshape(mul(values, reshape(nf4Scalers(parts, scalerBlockSize), [-1, 1])), [-1]), [numel]);
}
