// int4 weights as torchao's Int4Tensor has them: quantization of groups of a row, and codes two to a byte.
import type { DType } from '../../dtype.ts';
import { float32, int8, int32, uint8 } from '../../dtypes/index.ts';
import { defineOp } from '../../op.ts';
import type { Tensor } from '../../tensor.ts';
import { add, div, ge, lt, maximum, mul, sub, where } from '../binary.ts';
import { requireDtype, requireFloat, requireNdim, shapeError } from '../checks.ts';
import { cast, cat, clone } from '../copy.ts';
import { amax, amin } from '../reduce.ts';
import { clamp, floor, round } from '../unary.ts';
import { reshape, slice, transpose } from '../views.ts';

/**
 * An Int4Tensor's parts from x [N, K], in float32 and then in `scaleDtype` (x's unless given):
 *   scale = max(max - min, 1e-6) / 15, zero = min + 8 scale, q = clamp(round((x - min) / scale), 0, 15) - 8
 * qdata int8 [N, K / 2], scale and zero point [K / groupSize, N] with x ~ q * scale + zero.
 */
export const quantizeInt4 = /*@__PURE__*/ defineOp<
  [input: Tensor, groupSize: number, scaleDtype?: DType],
  [qdata: Tensor, scale: Tensor, zeroPoint: Tensor]
>('quantize_int4', {
  meta(x, groupSize, scaleDtype = x.dtype) {
    requireFloat('quantize_int4', 'input', x);
    requireNdim('quantize_int4', 'input', x, 2);
    const [n, k] = x.shape as [number, number];
    if (!(groupSize > 0) || groupSize % 2 !== 0 || k % groupSize !== 0) {
      throw shapeError(
        'quantize_int4',
        `the group size ${groupSize} does not divide ${k} columns`,
        'use an even divisor',
      );
    }
    const params = { shape: [k / groupSize, n], dtype: scaleDtype };
    return [{ shape: [n, k / 2], dtype: int8 }, params, params];
  },
  decompose(input, groupSize, scaleDtype = input.dtype) {
    const w = reshape(cast(input, float32), [-1, groupSize]);
    const low = amin(w, 1, true);
    const scale = div(maximum(sub(amax(w, 1, true), low), 1e-6), 15);
    const codes = cast(sub(clamp(round(div(sub(w, low), scale)), 0, 15), 8), int8);
    const flip = (t: Tensor): Tensor =>
      clone(transpose(cast(reshape(t, [input.shape[0] as number, -1]), scaleDtype), 0, 1));
    return [packInt4(reshape(codes, input.shape)), flip(scale), flip(add(low, mul(scale, 8)))];
  },
});

const halves = (t: Tensor, dim: number): [even: Tensor, odd: Tensor] => [
  slice(t, dim, 0, Number.POSITIVE_INFINITY, 2),
  slice(t, dim, 1, Number.POSITIVE_INFINITY, 2),
];

/** Codes -8..7 (or 0..15) [..., K] -> int8 [..., K / 2]: the low nibble is the even column. */
export const packInt4 = /*@__PURE__*/ defineOp<[codes: Tensor]>('pack_int4', {
  meta(codes) {
    requireDtype('pack_int4', 'codes', codes, [int8, uint8]);
    const k = codes.shape[codes.ndim - 1] ?? 1;
    if (k % 2 !== 0) throw shapeError('pack_int4', `${k} columns do not pair up`, 'pad to an even number');
    return { shape: [...codes.shape.slice(0, -1), k / 2], dtype: int8 };
  },
  decompose(codes) {
    const [even, odd] = halves(cast(codes, int32), codes.ndim - 1);
    const low = where(lt(even, 0), add(even, 16), even);
    const high = where(ge(odd, 8), sub(odd, 16), odd);
    return cast(add(mul(high, 16), low), int8);
  },
});

/** int8 [..., K / 2] -> two's complement codes -8..7 int8 [..., K]. */
export const unpackInt4 = /*@__PURE__*/ defineOp<[packed: Tensor]>('unpack_int4', {
  meta(packed) {
    requireDtype('unpack_int4', 'packed', packed, [int8]);
    return { shape: [...packed.shape.slice(0, -1), (packed.shape[packed.ndim - 1] ?? 0) * 2], dtype: int8 };
  },
  decompose(packed) {
    const bytes = cast(packed, float32);
    const high = floor(div(bytes, 16));
    const low = sub(bytes, mul(high, 16));
    const even = where(ge(low, 8), sub(low, 16), low);
    const pairs = cat([reshape(even, [...packed.shape, 1]), reshape(high, [...packed.shape, 1])], packed.ndim);
    return cast(reshape(pairs, [...packed.shape.slice(0, -1), -1]), int8);
  },
});
