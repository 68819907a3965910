// int4 weights as torchao's Int4Tensor has them: quantization of groups of a row, and codes two to a byte.
import { float32, int8, int32, uint8 } from '../../dtypes/index.ts';
import { defineOp } from '../../op.ts';
import type { Tensor } from '../../tensor.ts';
import { add, div, ge, lt, maximum, mul, sub, where } from '../binary.ts';
import { requireDtype, requireFloat, requireNdim, shapeError } from '../checks.ts';
import { cast, cat } from '../copy.ts';
import { amax, amin } from '../reduce.ts';
import { clamp, floor, round } from '../unary.ts';
import { reshape, slice } from '../views.ts';

/** codes -8..7 int8 [N, K]; scale and zero point float32 [N, K / groupSize] with w = q * scale + zero. */
export const int4RowQuantizeZp = /*@__PURE__*/ defineOp<
  [input: Tensor, groupSize: number],
  [codes: Tensor, scale: Tensor, zeroPoint: Tensor]
>('int4_row_quantize_zp', {
  meta(x, groupSize) {
    requireFloat('int4_row_quantize_zp', 'input', x);
    requireNdim('int4_row_quantize_zp', 'input', x, 2);
    const [n, k] = x.shape as [number, number];
    if (k % groupSize !== 0)
      throw shapeError(
        'int4_row_quantize_zp',
        `the group size ${groupSize} does not divide ${k} columns`,
        'use a divisor',
      );
    const shape = [n, k / groupSize];
    return [
      { shape: x.shape, dtype: int8 },
      { shape, dtype: float32 },
      { shape, dtype: float32 },
    ];
  },
  decompose(input, groupSize) {
    const w = reshape(cast(input, float32), [-1, groupSize]);
    const low = amin(w, 1, true);
    const scale = div(maximum(sub(amax(w, 1, true), low), 1e-6), 15);
    const zero = add(low, mul(scale, 8));
    const codes = sub(clamp(round(div(sub(w, low), scale)), 0, 15), 8);
    const shape = [input.shape[0] as number, -1];
    return [reshape(cast(codes, int8), input.shape), reshape(scale, shape), reshape(zero, shape)];
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
