// Generated from kernels/cpu/exports.inc by scripts/abi.mjs (pnpm abi); do not edit. One method per row: it writes the
// command [row, fields...] to the stream. IN, OUT and INOUT are addresses (0 = absent), V is padded with zeros.
// biome-ignore-all format: generated
import { AoError } from '@ao/core';

/** FNV-1a of the rows; the addon must have been built from the same. */
export const ABI_HASH = '1f9f9aa8bd233d48';

/** Where commands go: `reserve` makes room and returns an index into `records`, `commit` hands the command over. */
export interface CommandStream {
  readonly records: Float64Array;
  reserve(length: number): number;
  commit(length: number): void;
}

function tooLong(op: string, field: string, length: number, count: number): never {
  throw new AoError('ERR_AO_SHAPE', `${field} has ${length} values, the kernel takes ${count}`, {
    op,
    fix: 'merge dimensions before the call',
  });
}

export class Calls {
  readonly #stream: CommandStream;

  constructor(stream: CommandStream) {
    this.#stream = stream;
  }

  /** OUT(out) I(n) I(dtype) F(value) */
  fill(out: number, n: number, dtype: number, value: number): void {
    const s = this.#stream, at = s.reserve(5), r = s.records; r[at] = 0; r[at + 1] = out; r[at + 2] = n;
    r[at + 3] = dtype; r[at + 4] = value; s.commit(5);
  }

  /** INOUT(out) IN(x) I(out_dtype) I(x_dtype) I(ndim) V(shape, 6) V(out_strides, 6) V(x_strides, 6) */
  copy_strided(out: number, x: number, out_dtype: number, x_dtype: number, ndim: number, shape: ArrayLike<number>, out_strides: ArrayLike<number>, x_strides: ArrayLike<number>): void {
    if (shape.length > 6) tooLong('copy_strided', 'shape', shape.length, 6);
    if (out_strides.length > 6) tooLong('copy_strided', 'out_strides', out_strides.length, 6);
    if (x_strides.length > 6) tooLong('copy_strided', 'x_strides', x_strides.length, 6);
    const s = this.#stream, at = s.reserve(24), r = s.records; r[at] = 1; r[at + 1] = out; r[at + 2] = x;
    r[at + 3] = out_dtype; r[at + 4] = x_dtype; r[at + 5] = ndim;
    for (let i = 0; i < 6; i++) r[at + 6 + i] = shape[i] ?? 0;
    for (let i = 0; i < 6; i++) r[at + 12 + i] = out_strides[i] ?? 0;
    for (let i = 0; i < 6; i++) r[at + 18 + i] = x_strides[i] ?? 0; s.commit(24);
  }

  /** OUT(out) IN(gate) IN(up) I(rows) I(n) I(gate_stride) I(up_stride) I(dtype) */
  silu_mul(out: number, gate: number, up: number, rows: number, n: number, gate_stride: number, up_stride: number, dtype: number): void {
    const s = this.#stream, at = s.reserve(9), r = s.records; r[at] = 2; r[at + 1] = out; r[at + 2] = gate;
    r[at + 3] = up; r[at + 4] = rows; r[at + 5] = n; r[at + 6] = gate_stride; r[at + 7] = up_stride; r[at + 8] = dtype;
    s.commit(9);
  }
}
