// Codes of b bits side by side: code i of a row takes bits [b i, b i + b) of its bytes, the lowest first, as two's complement
// or unsigned; a row begins with a whole byte, and what is left of its last one is 0. For 4 bits that is pack_int4's order.

import { zeros } from '../../create.ts';
import { int8, int32, uint8 } from '../../dtypes/index.ts';
import { defineOp } from '../../op.ts';
import type { Tensor } from '../../tensor.ts';
import { add, div, ge, lt, mul, sub, where } from '../binary.ts';
import { requireDtype, shapeError } from '../checks.ts';
import { cast, cat } from '../copy.ts';

import { floor } from '../unary.ts';
import { reshape, slice } from '../views.ts';

/** Bytes of a row of `columns` codes of `bits` bits. */
export const packedBytes = (columns: number, bits: number): number => Math.ceil((columns * bits) / 8);

function checkBits(op: string, bits: number): void {
  if (Number.isInteger(bits) && bits >= 1 && bits <= 8) return;
  throw shapeError(op, `codes of ${bits} bits`, 'give 1 to 8 bits');
}

const columnsOf = (t: Tensor): number => t.shape[t.ndim - 1] ?? 1;

/** t [rows, n] with zeros up to a multiple of `by` columns, as [rows, groups, by]. */
function grouped(t: Tensor, by: number): Tensor {
  const [rows, n] = [t.numel / Math.max(1, columnsOf(t)), columnsOf(t)];
  const flat = reshape(t, [rows, n]);
  const missing = Math.ceil(n / by) * by - n;
  const zero = { dtype: t.dtype, device: t.device };
  const whole = missing === 0 ? flat : cat([flat, zeros(t.rt, [rows, missing], zero)], 1);
  return reshape(whole, [rows, -1, by]);
}

const modulo = (x: Tensor, by: number): Tensor => sub(x, mul(floor(div(x, by)), by));

/**
 * Moves bits from fields of `from` bits to fields of `to` bits, in float32, which holds them exactly: [rows, groups, n] ->
 * [rows, groups m], n from = m to.
 */
function regroup(fields: Tensor, from: number, to: number): Tensor {
  const n = columnsOf(fields);
  const out: Tensor[] = [];
  for (let j = 0; j < (n * from) / to; j++) {
    let sum: Tensor | undefined;
    for (let i = Math.floor((j * to) / from); i < n && i * from < (j + 1) * to; i++) {
      const field = slice(fields, 2, i, i + 1);
      const shift = i * from - j * to;
      const bits =
        shift < 0 ? modulo(floor(div(field, 2 ** -shift)), 2 ** to) : mul(modulo(field, 2 ** (to - shift)), 2 ** shift);
      sum = sum === undefined ? bits : add(sum, bits);
    }
    out.push(sum as Tensor);
  }
  return reshape(cat(out, 2), [fields.shape[0] as number, -1]);
}

/** int8 or uint8 codes [..., K] of `bits` bits -> uint8 [..., ceil(K bits / 8)]. */
export const packBits = /*@__PURE__*/ defineOp<[codes: Tensor, bits: number]>('pack_bits', {
  meta(codes, bits) {
    requireDtype('pack_bits', 'codes', codes, [int8, uint8]);
    checkBits('pack_bits', bits);
    return { shape: [...codes.shape.slice(0, -1), packedBytes(columnsOf(codes), bits)], dtype: uint8 };
  },
  decompose(codes, bits) {
    const wide = cast(codes, int32);
    const fields = modulo(where(lt(wide, 0), add(wide, 256), wide), 2 ** bits);
    const bytes = regroup(grouped(cast(fields, int32), 8), bits, 8);
    const row = packedBytes(columnsOf(codes), bits);
    return cast(reshape(slice(bytes, 1, 0, row), [...codes.shape.slice(0, -1), row]), uint8);
  },
});

/** The inverse: uint8 [..., ceil(columns bits / 8)] -> int8 codes [..., columns] in two's complement, or uint8 ones. */
export const unpackBits = /*@__PURE__*/ defineOp<[packed: Tensor, bits: number, columns: number, isSigned: boolean]>(
  'unpack_bits',
  {
    meta(packed, bits, columns, isSigned) {
      requireDtype('unpack_bits', 'packed', packed, [uint8]);
      checkBits('unpack_bits', bits);
      if (columnsOf(packed) !== packedBytes(columns, bits)) {
        throw shapeError(
          'unpack_bits',
          `${columnsOf(packed)} bytes are no row of ${columns} codes of ${bits} bits`,
          `a row has ${packedBytes(columns, bits)} bytes`,
        );
      }
      return { shape: [...packed.shape.slice(0, -1), columns], dtype: isSigned ? int8 : uint8 };
    },
    decompose(packed, bits, columns, isSigned) {
      const codes = slice(regroup(grouped(cast(packed, int32), bits), 8, bits), 1, 0, columns);
      const full = isSigned ? where(ge(codes, 2 ** (bits - 1)), sub(codes, 2 ** bits), codes) : codes;
      return cast(reshape(full, [...packed.shape.slice(0, -1), columns]), isSigned ? int8 : uint8);
    },
  },
);
