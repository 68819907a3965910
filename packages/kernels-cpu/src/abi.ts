// Generated from kernels/cpu/exports.inc by scripts/abi.mjs (pnpm abi); do not edit. One method per row: it writes the
// command [row, fields...] to the stream. IN, OUT and INOUT are addresses (0 = absent), V is padded with zeros.
// biome-ignore-all format: generated
import { AoError } from '@ao/core';

/** FNV-1a of the rows; the addon must have been built from the same. */
export const ABI_HASH = '3dec3393209dddf7';

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
    const s = this.#stream, at = s.reserve(5), r = s.records; r[at] = 0; r[at + 1] = out; r[at + 2] = n; r[at + 3] = dtype; r[at + 4] = value; s.commit(5);
  }

  /** INOUT(out) IN(x) I(out_dtype) I(x_dtype) I(ndim) V(shape, 6) V(out_strides, 6) V(x_strides, 6) */
  copy_strided(out: number, x: number, out_dtype: number, x_dtype: number, ndim: number, shape: ArrayLike<number>, out_strides: ArrayLike<number>, x_strides: ArrayLike<number>): void {
    if (shape.length > 6) tooLong('copy_strided', 'shape', shape.length, 6); if (out_strides.length > 6) tooLong('copy_strided', 'out_strides', out_strides.length, 6); if (x_strides.length > 6) tooLong('copy_strided', 'x_strides', x_strides.length, 6); const s = this.#stream, at = s.reserve(24), r = s.records; r[at] = 1; r[at + 1] = out; r[at + 2] = x; r[at + 3] = out_dtype; r[at + 4] = x_dtype; r[at + 5] = ndim; for (let i = 0; i < 6; i++) r[at + 6 + i] = shape[i] ?? 0; for (let i = 0; i < 6; i++) r[at + 12 + i] = out_strides[i] ?? 0; for (let i = 0; i < 6; i++) r[at + 18 + i] = x_strides[i] ?? 0; s.commit(24);
  }

  /** OUT(out) IN(x) I(n) I(dtype) I(op) */
  unary(out: number, x: number, n: number, dtype: number, op: number): void {
    const s = this.#stream, at = s.reserve(6), r = s.records; r[at] = 2; r[at + 1] = out; r[at + 2] = x; r[at + 3] = n; r[at + 4] = dtype; r[at + 5] = op; s.commit(6);
  }

  /** OUT(out) IN(x) I(n) I(dtype) F(min) F(max) */
  clamp(out: number, x: number, n: number, dtype: number, min: number, max: number): void {
    const s = this.#stream, at = s.reserve(7), r = s.records; r[at] = 3; r[at + 1] = out; r[at + 2] = x; r[at + 3] = n; r[at + 4] = dtype; r[at + 5] = min; r[at + 6] = max; s.commit(7);
  }

  /** OUT(out) IN(a) IN(b) I(ndim) V(shape, 6) V(a_strides, 6) V(b_strides, 6) I(dtype) I(op) F(a_scalar) F(b_scalar) */
  binary(out: number, a: number, b: number, ndim: number, shape: ArrayLike<number>, a_strides: ArrayLike<number>, b_strides: ArrayLike<number>, dtype: number, op: number, a_scalar: number, b_scalar: number): void {
    if (shape.length > 6) tooLong('binary', 'shape', shape.length, 6); if (a_strides.length > 6) tooLong('binary', 'a_strides', a_strides.length, 6); if (b_strides.length > 6) tooLong('binary', 'b_strides', b_strides.length, 6); const s = this.#stream, at = s.reserve(27), r = s.records; r[at] = 4; r[at + 1] = out; r[at + 2] = a; r[at + 3] = b; r[at + 4] = ndim; for (let i = 0; i < 6; i++) r[at + 5 + i] = shape[i] ?? 0; for (let i = 0; i < 6; i++) r[at + 11 + i] = a_strides[i] ?? 0; for (let i = 0; i < 6; i++) r[at + 17 + i] = b_strides[i] ?? 0; r[at + 23] = dtype; r[at + 24] = op; r[at + 25] = a_scalar; r[at + 26] = b_scalar; s.commit(27);
  }

  /** OUT(out) IN(cond) IN(a) IN(b) I(ndim) V(shape, 6) V(cond_strides, 6) V(a_strides, 6) V(b_strides, 6) I(dtype) F(a_scalar) F(b_scalar) */
  where(out: number, cond: number, a: number, b: number, ndim: number, shape: ArrayLike<number>, cond_strides: ArrayLike<number>, a_strides: ArrayLike<number>, b_strides: ArrayLike<number>, dtype: number, a_scalar: number, b_scalar: number): void {
    if (shape.length > 6) tooLong('where', 'shape', shape.length, 6); if (cond_strides.length > 6) tooLong('where', 'cond_strides', cond_strides.length, 6); if (a_strides.length > 6) tooLong('where', 'a_strides', a_strides.length, 6); if (b_strides.length > 6) tooLong('where', 'b_strides', b_strides.length, 6); const s = this.#stream, at = s.reserve(33), r = s.records; r[at] = 5; r[at + 1] = out; r[at + 2] = cond; r[at + 3] = a; r[at + 4] = b; r[at + 5] = ndim; for (let i = 0; i < 6; i++) r[at + 6 + i] = shape[i] ?? 0; for (let i = 0; i < 6; i++) r[at + 12 + i] = cond_strides[i] ?? 0; for (let i = 0; i < 6; i++) r[at + 18 + i] = a_strides[i] ?? 0; for (let i = 0; i < 6; i++) r[at + 24 + i] = b_strides[i] ?? 0; r[at + 30] = dtype; r[at + 31] = a_scalar; r[at + 32] = b_scalar; s.commit(33);
  }

  /** INOUT(x) I(n) I(value) */
  add_scalar_i32(x: number, n: number, value: number): void {
    const s = this.#stream, at = s.reserve(4), r = s.records; r[at] = 6; r[at + 1] = x; r[at + 2] = n; r[at + 3] = value; s.commit(4);
  }

  /** OUT(out) IN(gate) IN(up) I(rows) I(n) I(gate_stride) I(up_stride) I(dtype) */
  silu_mul(out: number, gate: number, up: number, rows: number, n: number, gate_stride: number, up_stride: number, dtype: number): void {
    const s = this.#stream, at = s.reserve(9), r = s.records; r[at] = 7; r[at + 1] = out; r[at + 2] = gate; r[at + 3] = up; r[at + 4] = rows; r[at + 5] = n; r[at + 6] = gate_stride; r[at + 7] = up_stride; r[at + 8] = dtype; s.commit(9);
  }

  /** OUT(out) IN(x) I(outer) I(n) I(inner) I(x_dtype) I(out_dtype) I(op) */
  reduce(out: number, x: number, outer: number, n: number, inner: number, x_dtype: number, out_dtype: number, op: number): void {
    const s = this.#stream, at = s.reserve(9), r = s.records; r[at] = 8; r[at + 1] = out; r[at + 2] = x; r[at + 3] = outer; r[at + 4] = n; r[at + 5] = inner; r[at + 6] = x_dtype; r[at + 7] = out_dtype; r[at + 8] = op; s.commit(9);
  }

  /** OUT(out) IN(x) I(outer) I(n) I(inner) I(dtype) I(least) */
  argmax(out: number, x: number, outer: number, n: number, inner: number, dtype: number, least: number): void {
    const s = this.#stream, at = s.reserve(8), r = s.records; r[at] = 9; r[at + 1] = out; r[at + 2] = x; r[at + 3] = outer; r[at + 4] = n; r[at + 5] = inner; r[at + 6] = dtype; r[at + 7] = least; s.commit(8);
  }

  /** OUT(values) OUT(indices) IN(x) I(rows) I(n) I(k) I(dtype) */
  topk(values: number, indices: number, x: number, rows: number, n: number, k: number, dtype: number): void {
    const s = this.#stream, at = s.reserve(8), r = s.records; r[at] = 10; r[at + 1] = values; r[at + 2] = indices; r[at + 3] = x; r[at + 4] = rows; r[at + 5] = n; r[at + 6] = k; r[at + 7] = dtype; s.commit(8);
  }

  /** OUT(out) IN(x) I(rows) I(n) I(dtype) I(log) */
  softmax(out: number, x: number, rows: number, n: number, dtype: number, log: number): void {
    const s = this.#stream, at = s.reserve(7), r = s.records; r[at] = 11; r[at + 1] = out; r[at + 2] = x; r[at + 3] = rows; r[at + 4] = n; r[at + 5] = dtype; r[at + 6] = log; s.commit(7);
  }

  /** OUT(nll) IN(logits) IN(targets) I(rows) I(vocab) I(row_stride) I(dtype) I(ignore_index) */
  cross_entropy(nll: number, logits: number, targets: number, rows: number, vocab: number, row_stride: number, dtype: number, ignore_index: number): void {
    const s = this.#stream, at = s.reserve(9), r = s.records; r[at] = 12; r[at + 1] = nll; r[at + 2] = logits; r[at + 3] = targets; r[at + 4] = rows; r[at + 5] = vocab; r[at + 6] = row_stride; r[at + 7] = dtype; r[at + 8] = ignore_index; s.commit(9);
  }

  /** OUT(out) IN(x) IN(weight) I(rows) I(n) I(x_stride) I(dtype) F(eps) F(offset) */
  rms_norm(out: number, x: number, weight: number, rows: number, n: number, x_stride: number, dtype: number, eps: number, offset: number): void {
    const s = this.#stream, at = s.reserve(10), r = s.records; r[at] = 13; r[at + 1] = out; r[at + 2] = x; r[at + 3] = weight; r[at + 4] = rows; r[at + 5] = n; r[at + 6] = x_stride; r[at + 7] = dtype; r[at + 8] = eps; r[at + 9] = offset; s.commit(10);
  }

  /** OUT(out) IN(x) IN(weight) IN(bias) I(rows) I(n) I(x_stride) I(dtype) F(eps) */
  layer_norm(out: number, x: number, weight: number, bias: number, rows: number, n: number, x_stride: number, dtype: number, eps: number): void {
    const s = this.#stream, at = s.reserve(10), r = s.records; r[at] = 14; r[at + 1] = out; r[at + 2] = x; r[at + 3] = weight; r[at + 4] = bias; r[at + 5] = rows; r[at + 6] = n; r[at + 7] = x_stride; r[at + 8] = dtype; r[at + 9] = eps; s.commit(10);
  }

  /** OUT(out) IN(table) IN(ids) I(n) I(vocab) I(dim) I(row_stride) I(dtype) */
  embedding(out: number, table: number, ids: number, n: number, vocab: number, dim: number, row_stride: number, dtype: number): void {
    const s = this.#stream, at = s.reserve(9), r = s.records; r[at] = 15; r[at + 1] = out; r[at + 2] = table; r[at + 3] = ids; r[at + 4] = n; r[at + 5] = vocab; r[at + 6] = dim; r[at + 7] = row_stride; r[at + 8] = dtype; s.commit(9);
  }

  /** OUT(out) IN(x) IN(index) I(ndim) V(shape, 6) V(x_strides, 6) V(index_strides, 6) I(dim) I(dim_size) I(dtype) */
  gather(out: number, x: number, index: number, ndim: number, shape: ArrayLike<number>, x_strides: ArrayLike<number>, index_strides: ArrayLike<number>, dim: number, dim_size: number, dtype: number): void {
    if (shape.length > 6) tooLong('gather', 'shape', shape.length, 6); if (x_strides.length > 6) tooLong('gather', 'x_strides', x_strides.length, 6); if (index_strides.length > 6) tooLong('gather', 'index_strides', index_strides.length, 6); const s = this.#stream, at = s.reserve(26), r = s.records; r[at] = 16; r[at + 1] = out; r[at + 2] = x; r[at + 3] = index; r[at + 4] = ndim; for (let i = 0; i < 6; i++) r[at + 5 + i] = shape[i] ?? 0; for (let i = 0; i < 6; i++) r[at + 11 + i] = x_strides[i] ?? 0; for (let i = 0; i < 6; i++) r[at + 17 + i] = index_strides[i] ?? 0; r[at + 23] = dim; r[at + 24] = dim_size; r[at + 25] = dtype; s.commit(26);
  }

  /** OUT(out) IN(x) IN(cos) IN(sin) IN(positions) I(rows) I(heads) I(dim) I(rotary_dim) I(x_row_stride) I(x_head_stride) I(position_count) I(table_rows) I(dtype) */
  rope(out: number, x: number, cos: number, sin: number, positions: number, rows: number, heads: number, dim: number, rotary_dim: number, x_row_stride: number, x_head_stride: number, position_count: number, table_rows: number, dtype: number): void {
    const s = this.#stream, at = s.reserve(15), r = s.records; r[at] = 17; r[at + 1] = out; r[at + 2] = x; r[at + 3] = cos; r[at + 4] = sin; r[at + 5] = positions; r[at + 6] = rows; r[at + 7] = heads; r[at + 8] = dim; r[at + 9] = rotary_dim; r[at + 10] = x_row_stride; r[at + 11] = x_head_stride; r[at + 12] = position_count; r[at + 13] = table_rows; r[at + 14] = dtype; s.commit(15);
  }

  /** INOUT(cache) IN(x) IN(pos) I(pos_count) I(batch) I(tokens) I(heads) I(dim) I(capacity) V(cache_strides, 3) V(x_strides, 3) I(cache_dtype) I(x_dtype) I(bits) I(asymmetric) */
  kv_append(cache: number, x: number, pos: number, pos_count: number, batch: number, tokens: number, heads: number, dim: number, capacity: number, cache_strides: ArrayLike<number>, x_strides: ArrayLike<number>, cache_dtype: number, x_dtype: number, bits: number, asymmetric: number): void {
    if (cache_strides.length > 3) tooLong('kv_append', 'cache_strides', cache_strides.length, 3); if (x_strides.length > 3) tooLong('kv_append', 'x_strides', x_strides.length, 3); const s = this.#stream, at = s.reserve(20), r = s.records; r[at] = 18; r[at + 1] = cache; r[at + 2] = x; r[at + 3] = pos; r[at + 4] = pos_count; r[at + 5] = batch; r[at + 6] = tokens; r[at + 7] = heads; r[at + 8] = dim; r[at + 9] = capacity; for (let i = 0; i < 3; i++) r[at + 10 + i] = cache_strides[i] ?? 0; for (let i = 0; i < 3; i++) r[at + 13 + i] = x_strides[i] ?? 0; r[at + 16] = cache_dtype; r[at + 17] = x_dtype; r[at + 18] = bits; r[at + 19] = asymmetric; s.commit(20);
  }

  /** OUT(out) IN(q) IN(k) IN(v) IN(mask) IN(pos) I(pos_count) I(batch) I(tokens) I(q_heads) I(kv_heads) I(dim) I(v_dim) I(keys) I(past) I(causal) I(window) F(scale) F(softcap) V(q_strides, 3) V(k_strides, 3) V(v_strides, 3) V(mask_strides, 4) I(dtype) I(kv_dtype) I(k_bits) I(k_asymmetric) I(v_bits) I(v_asymmetric) OUT(lse) */
  sdpa(out: number, q: number, k: number, v: number, mask: number, pos: number, pos_count: number, batch: number, tokens: number, q_heads: number, kv_heads: number, dim: number, v_dim: number, keys: number, past: number, causal: number, window: number, scale: number, softcap: number, q_strides: ArrayLike<number>, k_strides: ArrayLike<number>, v_strides: ArrayLike<number>, mask_strides: ArrayLike<number>, dtype: number, kv_dtype: number, k_bits: number, k_asymmetric: number, v_bits: number, v_asymmetric: number, lse: number): void {
    if (q_strides.length > 3) tooLong('sdpa', 'q_strides', q_strides.length, 3); if (k_strides.length > 3) tooLong('sdpa', 'k_strides', k_strides.length, 3); if (v_strides.length > 3) tooLong('sdpa', 'v_strides', v_strides.length, 3); if (mask_strides.length > 4) tooLong('sdpa', 'mask_strides', mask_strides.length, 4); const s = this.#stream, at = s.reserve(40), r = s.records; r[at] = 19; r[at + 1] = out; r[at + 2] = q; r[at + 3] = k; r[at + 4] = v; r[at + 5] = mask; r[at + 6] = pos; r[at + 7] = pos_count; r[at + 8] = batch; r[at + 9] = tokens; r[at + 10] = q_heads; r[at + 11] = kv_heads; r[at + 12] = dim; r[at + 13] = v_dim; r[at + 14] = keys; r[at + 15] = past; r[at + 16] = causal; r[at + 17] = window; r[at + 18] = scale; r[at + 19] = softcap; for (let i = 0; i < 3; i++) r[at + 20 + i] = q_strides[i] ?? 0; for (let i = 0; i < 3; i++) r[at + 23 + i] = k_strides[i] ?? 0; for (let i = 0; i < 3; i++) r[at + 26 + i] = v_strides[i] ?? 0; for (let i = 0; i < 4; i++) r[at + 29 + i] = mask_strides[i] ?? 0; r[at + 33] = dtype; r[at + 34] = kv_dtype; r[at + 35] = k_bits; r[at + 36] = k_asymmetric; r[at + 37] = v_bits; r[at + 38] = v_asymmetric; r[at + 39] = lse; s.commit(40);
  }

  /** OUT(dx) OUT(dw) IN(g) IN(x) IN(weight) I(rows) I(n) I(dtype) F(eps) F(offset) */
  rms_norm_backward(dx: number, dw: number, g: number, x: number, weight: number, rows: number, n: number, dtype: number, eps: number, offset: number): void {
    const s = this.#stream, at = s.reserve(11), r = s.records; r[at] = 20; r[at + 1] = dx; r[at + 2] = dw; r[at + 3] = g; r[at + 4] = x; r[at + 5] = weight; r[at + 6] = rows; r[at + 7] = n; r[at + 8] = dtype; r[at + 9] = eps; r[at + 10] = offset; s.commit(11);
  }

  /** OUT(dx) OUT(dw) OUT(db) IN(g) IN(x) IN(weight) I(rows) I(n) I(dtype) F(eps) */
  layer_norm_backward(dx: number, dw: number, db: number, g: number, x: number, weight: number, rows: number, n: number, dtype: number, eps: number): void {
    const s = this.#stream, at = s.reserve(11), r = s.records; r[at] = 21; r[at + 1] = dx; r[at + 2] = dw; r[at + 3] = db; r[at + 4] = g; r[at + 5] = x; r[at + 6] = weight; r[at + 7] = rows; r[at + 8] = n; r[at + 9] = dtype; r[at + 10] = eps; s.commit(11);
  }

  /** OUT(dx) IN(g) IN(x) I(n) I(dtype) I(op) */
  activation_backward(dx: number, g: number, x: number, n: number, dtype: number, op: number): void {
    const s = this.#stream, at = s.reserve(7), r = s.records; r[at] = 22; r[at + 1] = dx; r[at + 2] = g; r[at + 3] = x; r[at + 4] = n; r[at + 5] = dtype; r[at + 6] = op; s.commit(7);
  }

  /** OUT(dgate) OUT(dup) IN(g) IN(gate) IN(up) I(n) I(dtype) */
  silu_mul_backward(dgate: number, dup: number, g: number, gate: number, up: number, n: number, dtype: number): void {
    const s = this.#stream, at = s.reserve(8), r = s.records; r[at] = 23; r[at + 1] = dgate; r[at + 2] = dup; r[at + 3] = g; r[at + 4] = gate; r[at + 5] = up; r[at + 6] = n; r[at + 7] = dtype; s.commit(8);
  }

  /** OUT(dx) IN(g) IN(y) I(rows) I(n) I(dtype) I(log) */
  softmax_backward(dx: number, g: number, y: number, rows: number, n: number, dtype: number, log: number): void {
    const s = this.#stream, at = s.reserve(8), r = s.records; r[at] = 24; r[at + 1] = dx; r[at + 2] = g; r[at + 3] = y; r[at + 4] = rows; r[at + 5] = n; r[at + 6] = dtype; r[at + 7] = log; s.commit(8);
  }

  /** OUT(dx) IN(g) IN(logits) IN(targets) I(rows) I(vocab) I(dtype) I(ignore_index) */
  cross_entropy_backward(dx: number, g: number, logits: number, targets: number, rows: number, vocab: number, dtype: number, ignore_index: number): void {
    const s = this.#stream, at = s.reserve(9), r = s.records; r[at] = 25; r[at + 1] = dx; r[at + 2] = g; r[at + 3] = logits; r[at + 4] = targets; r[at + 5] = rows; r[at + 6] = vocab; r[at + 7] = dtype; r[at + 8] = ignore_index; s.commit(9);
  }

  /** OUT(dw) IN(g) IN(ids) I(n) I(vocab) I(dim) I(dtype) */
  embedding_backward(dw: number, g: number, ids: number, n: number, vocab: number, dim: number, dtype: number): void {
    const s = this.#stream, at = s.reserve(8), r = s.records; r[at] = 26; r[at + 1] = dw; r[at + 2] = g; r[at + 3] = ids; r[at + 4] = n; r[at + 5] = vocab; r[at + 6] = dim; r[at + 7] = dtype; s.commit(8);
  }

  /** OUT(dx) IN(g) IN(index) I(ndim) V(shape, 6) V(x_shape, 6) I(dim) I(dtype) */
  gather_backward(dx: number, g: number, index: number, ndim: number, shape: ArrayLike<number>, x_shape: ArrayLike<number>, dim: number, dtype: number): void {
    if (shape.length > 6) tooLong('gather_backward', 'shape', shape.length, 6); if (x_shape.length > 6) tooLong('gather_backward', 'x_shape', x_shape.length, 6); const s = this.#stream, at = s.reserve(19), r = s.records; r[at] = 27; r[at + 1] = dx; r[at + 2] = g; r[at + 3] = index; r[at + 4] = ndim; for (let i = 0; i < 6; i++) r[at + 5 + i] = shape[i] ?? 0; for (let i = 0; i < 6; i++) r[at + 11 + i] = x_shape[i] ?? 0; r[at + 17] = dim; r[at + 18] = dtype; s.commit(19);
  }

  /** OUT(dq) OUT(dk) OUT(dv) IN(g) IN(q) IN(k) IN(v) IN(out) IN(mask) IN(pos) I(pos_count) I(batch) I(tokens) I(q_heads) I(kv_heads) I(dim) I(v_dim) I(keys) I(past) I(causal) I(window) F(scale) F(softcap) V(q_strides, 3) V(k_strides, 3) V(v_strides, 3) V(mask_strides, 4) I(dtype) IN(lse) */
  sdpa_backward(dq: number, dk: number, dv: number, g: number, q: number, k: number, v: number, out: number, mask: number, pos: number, pos_count: number, batch: number, tokens: number, q_heads: number, kv_heads: number, dim: number, v_dim: number, keys: number, past: number, causal: number, window: number, scale: number, softcap: number, q_strides: ArrayLike<number>, k_strides: ArrayLike<number>, v_strides: ArrayLike<number>, mask_strides: ArrayLike<number>, dtype: number, lse: number): void {
    if (q_strides.length > 3) tooLong('sdpa_backward', 'q_strides', q_strides.length, 3); if (k_strides.length > 3) tooLong('sdpa_backward', 'k_strides', k_strides.length, 3); if (v_strides.length > 3) tooLong('sdpa_backward', 'v_strides', v_strides.length, 3); if (mask_strides.length > 4) tooLong('sdpa_backward', 'mask_strides', mask_strides.length, 4); const s = this.#stream, at = s.reserve(39), r = s.records; r[at] = 28; r[at + 1] = dq; r[at + 2] = dk; r[at + 3] = dv; r[at + 4] = g; r[at + 5] = q; r[at + 6] = k; r[at + 7] = v; r[at + 8] = out; r[at + 9] = mask; r[at + 10] = pos; r[at + 11] = pos_count; r[at + 12] = batch; r[at + 13] = tokens; r[at + 14] = q_heads; r[at + 15] = kv_heads; r[at + 16] = dim; r[at + 17] = v_dim; r[at + 18] = keys; r[at + 19] = past; r[at + 20] = causal; r[at + 21] = window; r[at + 22] = scale; r[at + 23] = softcap; for (let i = 0; i < 3; i++) r[at + 24 + i] = q_strides[i] ?? 0; for (let i = 0; i < 3; i++) r[at + 27 + i] = k_strides[i] ?? 0; for (let i = 0; i < 3; i++) r[at + 30 + i] = v_strides[i] ?? 0; for (let i = 0; i < 4; i++) r[at + 33 + i] = mask_strides[i] ?? 0; r[at + 37] = dtype; r[at + 38] = lse; s.commit(39);
  }

  /** OUT(out) INOUT(total) IN(x) I(n) I(dtype) I(first) */
  sum_of_squares(out: number, total: number, x: number, n: number, dtype: number, first: number): void {
    const s = this.#stream, at = s.reserve(7), r = s.records; r[at] = 29; r[at + 1] = out; r[at + 2] = total; r[at + 3] = x; r[at + 4] = n; r[at + 5] = dtype; r[at + 6] = first; s.commit(7);
  }

  /** INOUT(x) IN(factor) I(n) I(dtype) F(value) I(clip) */
  scale(x: number, factor: number, n: number, dtype: number, value: number, clip: number): void {
    const s = this.#stream, at = s.reserve(7), r = s.records; r[at] = 30; r[at + 1] = x; r[at + 2] = factor; r[at + 3] = n; r[at + 4] = dtype; r[at + 5] = value; r[at + 6] = clip; s.commit(7);
  }

  /** OUT(scale) OUT(zero_point) IN(x) I(blocks) I(n) I(dtype) I(scale_dtype) I(zero_dtype) I(mapping) I(preserve_zero) F(qmin) F(qmax) F(eps) */
  choose_qparams_affine(scale: number, zero_point: number, x: number, blocks: number, n: number, dtype: number, scale_dtype: number, zero_dtype: number, mapping: number, preserve_zero: number, qmin: number, qmax: number, eps: number): void {
    const s = this.#stream, at = s.reserve(14), r = s.records; r[at] = 31; r[at + 1] = scale; r[at + 2] = zero_point; r[at + 3] = x; r[at + 4] = blocks; r[at + 5] = n; r[at + 6] = dtype; r[at + 7] = scale_dtype; r[at + 8] = zero_dtype; r[at + 9] = mapping; r[at + 10] = preserve_zero; r[at + 11] = qmin; r[at + 12] = qmax; r[at + 13] = eps; s.commit(14);
  }

  /** OUT(q) IN(x) IN(scale) IN(zero_point) I(blocks) I(n) I(dtype) I(scale_dtype) I(zero_dtype) I(q_dtype) I(zero_domain) F(qmin) F(qmax) */
  quantize_affine(q: number, x: number, scale: number, zero_point: number, blocks: number, n: number, dtype: number, scale_dtype: number, zero_dtype: number, q_dtype: number, zero_domain: number, qmin: number, qmax: number): void {
    const s = this.#stream, at = s.reserve(14), r = s.records; r[at] = 32; r[at + 1] = q; r[at + 2] = x; r[at + 3] = scale; r[at + 4] = zero_point; r[at + 5] = blocks; r[at + 6] = n; r[at + 7] = dtype; r[at + 8] = scale_dtype; r[at + 9] = zero_dtype; r[at + 10] = q_dtype; r[at + 11] = zero_domain; r[at + 12] = qmin; r[at + 13] = qmax; s.commit(14);
  }

  /** OUT(out) IN(q) IN(scale) IN(zero_point) I(blocks) I(n) I(dtype) I(scale_dtype) I(zero_dtype) I(q_dtype) I(zero_domain) F(qmin) F(qmax) */
  dequantize_affine(out: number, q: number, scale: number, zero_point: number, blocks: number, n: number, dtype: number, scale_dtype: number, zero_dtype: number, q_dtype: number, zero_domain: number, qmin: number, qmax: number): void {
    const s = this.#stream, at = s.reserve(14), r = s.records; r[at] = 33; r[at + 1] = out; r[at + 2] = q; r[at + 3] = scale; r[at + 4] = zero_point; r[at + 5] = blocks; r[at + 6] = n; r[at + 7] = dtype; r[at + 8] = scale_dtype; r[at + 9] = zero_dtype; r[at + 10] = q_dtype; r[at + 11] = zero_domain; r[at + 12] = qmin; r[at + 13] = qmax; s.commit(14);
  }

  /** OUT(out) IN(x) IN(grad) I(blocks) I(n) I(dtype) I(scale_dtype) I(mapping) F(qmin) F(qmax) F(eps) */
  fake_quantize(out: number, x: number, grad: number, blocks: number, n: number, dtype: number, scale_dtype: number, mapping: number, qmin: number, qmax: number, eps: number): void {
    const s = this.#stream, at = s.reserve(12), r = s.records; r[at] = 34; r[at + 1] = out; r[at + 2] = x; r[at + 3] = grad; r[at + 4] = blocks; r[at + 5] = n; r[at + 6] = dtype; r[at + 7] = scale_dtype; r[at + 8] = mapping; r[at + 9] = qmin; r[at + 10] = qmax; r[at + 11] = eps; s.commit(12);
  }

  /** OUT(out) IN(x) IN(grad) I(groups) I(n) I(dtype) */
  fake_quantize_int4(out: number, x: number, grad: number, groups: number, n: number, dtype: number): void {
    const s = this.#stream, at = s.reserve(7), r = s.records; r[at] = 35; r[at + 1] = out; r[at + 2] = x; r[at + 3] = grad; r[at + 4] = groups; r[at + 5] = n; r[at + 6] = dtype; s.commit(7);
  }

  /** OUT(qdata) OUT(scale) OUT(zero_point) IN(x) I(rows) I(cols) I(group_size) I(dtype) I(scale_dtype) */
  quantize_int4(qdata: number, scale: number, zero_point: number, x: number, rows: number, cols: number, group_size: number, dtype: number, scale_dtype: number): void {
    const s = this.#stream, at = s.reserve(10), r = s.records; r[at] = 36; r[at + 1] = qdata; r[at + 2] = scale; r[at + 3] = zero_point; r[at + 4] = x; r[at + 5] = rows; r[at + 6] = cols; r[at + 7] = group_size; r[at + 8] = dtype; r[at + 9] = scale_dtype; s.commit(10);
  }

  /** OUT(q) INOUT(scale) OUT(q_t) INOUT(scale_t) IN(x) I(rows) I(cols) I(dtype) I(f8) I(axis) I(axis_t) I(pow2) I(given) */
  to_float8(q: number, scale: number, q_t: number, scale_t: number, x: number, rows: number, cols: number, dtype: number, f8: number, axis: number, axis_t: number, pow2: number, given: number): void {
    const s = this.#stream, at = s.reserve(14), r = s.records; r[at] = 37; r[at + 1] = q; r[at + 2] = scale; r[at + 3] = q_t; r[at + 4] = scale_t; r[at + 5] = x; r[at + 6] = rows; r[at + 7] = cols; r[at + 8] = dtype; r[at + 9] = f8; r[at + 10] = axis; r[at + 11] = axis_t; r[at + 12] = pow2; r[at + 13] = given; s.commit(14);
  }

  /** OUT(out) IN(q) IN(scale) I(rows) I(cols) I(f8) I(axis) */
  from_float8(out: number, q: number, scale: number, rows: number, cols: number, f8: number, axis: number): void {
    const s = this.#stream, at = s.reserve(8), r = s.records; r[at] = 38; r[at + 1] = out; r[at + 2] = q; r[at + 3] = scale; r[at + 4] = rows; r[at + 5] = cols; r[at + 6] = f8; r[at + 7] = axis; s.commit(8);
  }

  /** OUT(out) IN(a) IN(a_scale) IN(b) IN(b_scale) I(m) I(n) I(k) I(a_row) I(a_col) I(b_row) I(b_col) I(a_f8) I(b_f8) I(a_rows) I(b_rows) I(divides) I(fast) I(out_dtype) */
  scaled_mm(out: number, a: number, a_scale: number, b: number, b_scale: number, m: number, n: number, k: number, a_row: number, a_col: number, b_row: number, b_col: number, a_f8: number, b_f8: number, a_rows: number, b_rows: number, divides: number, fast: number, out_dtype: number): void {
    const s = this.#stream, at = s.reserve(20), r = s.records; r[at] = 39; r[at + 1] = out; r[at + 2] = a; r[at + 3] = a_scale; r[at + 4] = b; r[at + 5] = b_scale; r[at + 6] = m; r[at + 7] = n; r[at + 8] = k; r[at + 9] = a_row; r[at + 10] = a_col; r[at + 11] = b_row; r[at + 12] = b_col; r[at + 13] = a_f8; r[at + 14] = b_f8; r[at + 15] = a_rows; r[at + 16] = b_rows; r[at + 17] = divides; r[at + 18] = fast; r[at + 19] = out_dtype; s.commit(20);
  }

  /** OUT(out) IN(a) IN(b) I(m) I(n) I(k) I(a_row) I(a_col) I(b_row) I(b_col) */
  int_mm(out: number, a: number, b: number, m: number, n: number, k: number, a_row: number, a_col: number, b_row: number, b_col: number): void {
    const s = this.#stream, at = s.reserve(11), r = s.records; r[at] = 40; r[at + 1] = out; r[at + 2] = a; r[at + 3] = b; r[at + 4] = m; r[at + 5] = n; r[at + 6] = k; r[at + 7] = a_row; r[at + 8] = a_col; r[at + 9] = b_row; r[at + 10] = b_col; s.commit(11);
  }

  /** OUT(out) IN(x) I(n) */
  pack_int4(out: number, x: number, n: number): void {
    const s = this.#stream, at = s.reserve(4), r = s.records; r[at] = 41; r[at + 1] = out; r[at + 2] = x; r[at + 3] = n; s.commit(4);
  }

  /** OUT(out) IN(x) I(n) I(is_signed) */
  unpack_int4(out: number, x: number, n: number, is_signed: number): void {
    const s = this.#stream, at = s.reserve(5), r = s.records; r[at] = 42; r[at + 1] = out; r[at + 2] = x; r[at + 3] = n; r[at + 4] = is_signed; s.commit(5);
  }

  /** OUT(out) IN(x) I(rows) I(cols) I(bits) */
  pack_bits(out: number, x: number, rows: number, cols: number, bits: number): void {
    const s = this.#stream, at = s.reserve(6), r = s.records; r[at] = 43; r[at + 1] = out; r[at + 2] = x; r[at + 3] = rows; r[at + 4] = cols; r[at + 5] = bits; s.commit(6);
  }

  /** OUT(out) IN(x) I(rows) I(cols) I(bits) I(is_signed) */
  unpack_bits(out: number, x: number, rows: number, cols: number, bits: number, is_signed: number): void {
    const s = this.#stream, at = s.reserve(7), r = s.records; r[at] = 44; r[at + 1] = out; r[at + 2] = x; r[at + 3] = rows; r[at + 4] = cols; r[at + 5] = bits; r[at + 6] = is_signed; s.commit(7);
  }

  /** OUT(out) INOUT(state) I(n) I(dtype) F(low) F(high) */
  random_uniform(out: number, state: number, n: number, dtype: number, low: number, high: number): void {
    const s = this.#stream, at = s.reserve(7), r = s.records; r[at] = 45; r[at + 1] = out; r[at + 2] = state; r[at + 3] = n; r[at + 4] = dtype; r[at + 5] = low; r[at + 6] = high; s.commit(7);
  }

  /** OUT(out) INOUT(state) I(n) I(dtype) F(mean) F(std) F(low) F(high) F(least) F(most) */
  random_normal(out: number, state: number, n: number, dtype: number, mean: number, std: number, low: number, high: number, least: number, most: number): void {
    const s = this.#stream, at = s.reserve(11), r = s.records; r[at] = 46; r[at + 1] = out; r[at + 2] = state; r[at + 3] = n; r[at + 4] = dtype; r[at + 5] = mean; r[at + 6] = std; r[at + 7] = low; r[at + 8] = high; r[at + 9] = least; r[at + 10] = most; s.commit(11);
  }

  /** OUT(out) OUT(saved) INOUT(state) IN(x) I(n) I(dtype) F(p) */
  dropout(out: number, saved: number, state: number, x: number, n: number, dtype: number, p: number): void {
    const s = this.#stream, at = s.reserve(8), r = s.records; r[at] = 47; r[at + 1] = out; r[at + 2] = saved; r[at + 3] = state; r[at + 4] = x; r[at + 5] = n; r[at + 6] = dtype; r[at + 7] = p; s.commit(8);
  }

  /** OUT(dx) IN(g) IN(saved) I(n) I(dtype) F(p) */
  dropout_backward(dx: number, g: number, saved: number, n: number, dtype: number, p: number): void {
    const s = this.#stream, at = s.reserve(7), r = s.records; r[at] = 48; r[at + 1] = dx; r[at + 2] = g; r[at + 3] = saved; r[at + 4] = n; r[at + 5] = dtype; r[at + 6] = p; s.commit(7);
  }

  /** OUT(token) INOUT(state) IN(logits) I(rows) I(vocab) I(dtype) F(temperature) I(top_k) F(top_p) F(min_p) */
  sample(token: number, state: number, logits: number, rows: number, vocab: number, dtype: number, temperature: number, top_k: number, top_p: number, min_p: number): void {
    const s = this.#stream, at = s.reserve(11), r = s.records; r[at] = 49; r[at + 1] = token; r[at + 2] = state; r[at + 3] = logits; r[at + 4] = rows; r[at + 5] = vocab; r[at + 6] = dtype; r[at + 7] = temperature; r[at + 8] = top_k; r[at + 9] = top_p; r[at + 10] = min_p; s.commit(11);
  }

  /** INOUT(logits) INOUT(history) INOUT(lengths) IN(token) IN(bias) IN(ends) IN(mask) I(rows) I(vocab) I(capacity) I(end_count) I(min_new_tokens) I(ngram) F(repetition) F(frequency) F(presence) */
  process_logits(logits: number, history: number, lengths: number, token: number, bias: number, ends: number, mask: number, rows: number, vocab: number, capacity: number, end_count: number, min_new_tokens: number, ngram: number, repetition: number, frequency: number, presence: number): void {
    const s = this.#stream, at = s.reserve(17), r = s.records; r[at] = 50; r[at + 1] = logits; r[at + 2] = history; r[at + 3] = lengths; r[at + 4] = token; r[at + 5] = bias; r[at + 6] = ends; r[at + 7] = mask; r[at + 8] = rows; r[at + 9] = vocab; r[at + 10] = capacity; r[at + 11] = end_count; r[at + 12] = min_new_tokens; r[at + 13] = ngram; r[at + 14] = repetition; r[at + 15] = frequency; r[at + 16] = presence; s.commit(17);
  }

  /** INOUT(param) IN(grad) INOUT(exp_avg) INOUT(exp_avg_sq) INOUT(max_exp_avg_sq) INOUT(exp_avg_scale) INOUT(exp_avg_sq_scale) INOUT(max_exp_avg_sq_scale) IN(signed_map) IN(unsigned_map) INOUT(step) IN(lr) INOUT(rng) I(n) I(dtype) I(state_dtype) I(map_size) I(block_size) I(decoupled) F(beta1) F(beta2) F(eps) F(weight_decay) */
  fused_adam(param: number, grad: number, exp_avg: number, exp_avg_sq: number, max_exp_avg_sq: number, exp_avg_scale: number, exp_avg_sq_scale: number, max_exp_avg_sq_scale: number, signed_map: number, unsigned_map: number, step: number, lr: number, rng: number, n: number, dtype: number, state_dtype: number, map_size: number, block_size: number, decoupled: number, beta1: number, beta2: number, eps: number, weight_decay: number): void {
    const s = this.#stream, at = s.reserve(24), r = s.records; r[at] = 51; r[at + 1] = param; r[at + 2] = grad; r[at + 3] = exp_avg; r[at + 4] = exp_avg_sq; r[at + 5] = max_exp_avg_sq; r[at + 6] = exp_avg_scale; r[at + 7] = exp_avg_sq_scale; r[at + 8] = max_exp_avg_sq_scale; r[at + 9] = signed_map; r[at + 10] = unsigned_map; r[at + 11] = step; r[at + 12] = lr; r[at + 13] = rng; r[at + 14] = n; r[at + 15] = dtype; r[at + 16] = state_dtype; r[at + 17] = map_size; r[at + 18] = block_size; r[at + 19] = decoupled; r[at + 20] = beta1; r[at + 21] = beta2; r[at + 22] = eps; r[at + 23] = weight_decay; s.commit(24);
  }

  /** INOUT(param) IN(grad) INOUT(momentum_buffer) INOUT(step) IN(lr) I(n) I(dtype) I(nesterov) F(momentum) F(dampening) F(weight_decay) */
  fused_sgd(param: number, grad: number, momentum_buffer: number, step: number, lr: number, n: number, dtype: number, nesterov: number, momentum: number, dampening: number, weight_decay: number): void {
    const s = this.#stream, at = s.reserve(12), r = s.records; r[at] = 52; r[at + 1] = param; r[at + 2] = grad; r[at + 3] = momentum_buffer; r[at + 4] = step; r[at + 5] = lr; r[at + 6] = n; r[at + 7] = dtype; r[at + 8] = nesterov; r[at + 9] = momentum; r[at + 10] = dampening; r[at + 11] = weight_decay; s.commit(12);
  }

  /** OUT(packed) IN(codes) IN(scale) IN(zero) I(code) I(n) I(k) I(group_size) I(zero_domain) I(scale_dtype) I(zero_dtype) I(activation) I(row) I(rows) I(bits) IN(table) IN(meta) */
  pack_weight(packed: number, codes: number, scale: number, zero: number, code: number, n: number, k: number, group_size: number, zero_domain: number, scale_dtype: number, zero_dtype: number, activation: number, row: number, rows: number, bits: number, table: number, meta: number): void {
    const s = this.#stream, at = s.reserve(18), r = s.records; r[at] = 53; r[at + 1] = packed; r[at + 2] = codes; r[at + 3] = scale; r[at + 4] = zero; r[at + 5] = code; r[at + 6] = n; r[at + 7] = k; r[at + 8] = group_size; r[at + 9] = zero_domain; r[at + 10] = scale_dtype; r[at + 11] = zero_dtype; r[at + 12] = activation; r[at + 13] = row; r[at + 14] = rows; r[at + 15] = bits; r[at + 16] = table; r[at + 17] = meta; s.commit(18);
  }

  /** OUT(codes) OUT(scale) OUT(zero) IN(packed) I(n) I(k) I(row) I(rows) OUT(meta) */
  unpack_weight(codes: number, scale: number, zero: number, packed: number, n: number, k: number, row: number, rows: number, meta: number): void {
    const s = this.#stream, at = s.reserve(10), r = s.records; r[at] = 54; r[at + 1] = codes; r[at + 2] = scale; r[at + 3] = zero; r[at + 4] = packed; r[at + 5] = n; r[at + 6] = k; r[at + 7] = row; r[at + 8] = rows; r[at + 9] = meta; s.commit(10);
  }

  /** IN(x) I(m) I(k) I(x_stride) I(x_dtype) I(out_dtype) I(bias_dtype) F(act_eps) IN(residual) I(residual_stride) I(count) IN(weight0) IN(bias0) OUT(out0) I(n0) I(stride0) IN(weight1) IN(bias1) OUT(out1) I(n1) I(stride1) IN(weight2) IN(bias2) OUT(out2) I(n2) I(stride2) IN(weight3) IN(bias3) OUT(out3) I(n3) I(stride3) IN(act_scale) IN(act_zero) I(act_flags) */
  linear_packed(x: number, m: number, k: number, x_stride: number, x_dtype: number, out_dtype: number, bias_dtype: number, act_eps: number, residual: number, residual_stride: number, count: number, weight0: number, bias0: number, out0: number, n0: number, stride0: number, weight1: number, bias1: number, out1: number, n1: number, stride1: number, weight2: number, bias2: number, out2: number, n2: number, stride2: number, weight3: number, bias3: number, out3: number, n3: number, stride3: number, act_scale: number, act_zero: number, act_flags: number): void {
    const s = this.#stream, at = s.reserve(35), r = s.records; r[at] = 55; r[at + 1] = x; r[at + 2] = m; r[at + 3] = k; r[at + 4] = x_stride; r[at + 5] = x_dtype; r[at + 6] = out_dtype; r[at + 7] = bias_dtype; r[at + 8] = act_eps; r[at + 9] = residual; r[at + 10] = residual_stride; r[at + 11] = count; r[at + 12] = weight0; r[at + 13] = bias0; r[at + 14] = out0; r[at + 15] = n0; r[at + 16] = stride0; r[at + 17] = weight1; r[at + 18] = bias1; r[at + 19] = out1; r[at + 20] = n1; r[at + 21] = stride1; r[at + 22] = weight2; r[at + 23] = bias2; r[at + 24] = out2; r[at + 25] = n2; r[at + 26] = stride2; r[at + 27] = weight3; r[at + 28] = bias3; r[at + 29] = out3; r[at + 30] = n3; r[at + 31] = stride3; r[at + 32] = act_scale; r[at + 33] = act_zero; r[at + 34] = act_flags; s.commit(35);
  }

  /** OUT(out) IN(x) IN(index) I(rows) I(per_x) I(experts) I(n) I(k) I(x_dtype) I(out_dtype) I(first) I(count) F(act_eps) IN(weight0) IN(weight1) IN(weight2) IN(weight3) IN(weight4) IN(weight5) IN(weight6) IN(weight7) IN(weight8) IN(weight9) IN(weight10) IN(weight11) IN(weight12) IN(weight13) IN(weight14) IN(weight15) */
  linear_experts(out: number, x: number, index: number, rows: number, per_x: number, experts: number, n: number, k: number, x_dtype: number, out_dtype: number, first: number, count: number, act_eps: number, weight0: number, weight1: number, weight2: number, weight3: number, weight4: number, weight5: number, weight6: number, weight7: number, weight8: number, weight9: number, weight10: number, weight11: number, weight12: number, weight13: number, weight14: number, weight15: number): void {
    const s = this.#stream, at = s.reserve(30), r = s.records; r[at] = 56; r[at + 1] = out; r[at + 2] = x; r[at + 3] = index; r[at + 4] = rows; r[at + 5] = per_x; r[at + 6] = experts; r[at + 7] = n; r[at + 8] = k; r[at + 9] = x_dtype; r[at + 10] = out_dtype; r[at + 11] = first; r[at + 12] = count; r[at + 13] = act_eps; r[at + 14] = weight0; r[at + 15] = weight1; r[at + 16] = weight2; r[at + 17] = weight3; r[at + 18] = weight4; r[at + 19] = weight5; r[at + 20] = weight6; r[at + 21] = weight7; r[at + 22] = weight8; r[at + 23] = weight9; r[at + 24] = weight10; r[at + 25] = weight11; r[at + 26] = weight12; r[at + 27] = weight13; r[at + 28] = weight14; r[at + 29] = weight15; s.commit(30);
  }

  /** OUT(out) IN(packed) IN(index) I(count) I(n) I(k) I(out_stride) I(out_dtype) */
  gather_packed(out: number, packed: number, index: number, count: number, n: number, k: number, out_stride: number, out_dtype: number): void {
    const s = this.#stream, at = s.reserve(9), r = s.records; r[at] = 57; r[at + 1] = out; r[at + 2] = packed; r[at + 3] = index; r[at + 4] = count; r[at + 5] = n; r[at + 6] = k; r[at + 7] = out_stride; r[at + 8] = out_dtype; s.commit(9);
  }

  /** OUT(out) IN(a) IN(b) I(m) I(n) I(k) I(dtype) I(out_dtype) I(a_row) I(a_col) I(b_row) I(b_col) I(out_row) I(batch_ndim) V(batch, 4) V(a_batch, 4) V(b_batch, 4) V(out_batch, 4) */
  matmul(out: number, a: number, b: number, m: number, n: number, k: number, dtype: number, out_dtype: number, a_row: number, a_col: number, b_row: number, b_col: number, out_row: number, batch_ndim: number, batch: ArrayLike<number>, a_batch: ArrayLike<number>, b_batch: ArrayLike<number>, out_batch: ArrayLike<number>): void {
    if (batch.length > 4) tooLong('matmul', 'batch', batch.length, 4); if (a_batch.length > 4) tooLong('matmul', 'a_batch', a_batch.length, 4); if (b_batch.length > 4) tooLong('matmul', 'b_batch', b_batch.length, 4); if (out_batch.length > 4) tooLong('matmul', 'out_batch', out_batch.length, 4); const s = this.#stream, at = s.reserve(31), r = s.records; r[at] = 58; r[at + 1] = out; r[at + 2] = a; r[at + 3] = b; r[at + 4] = m; r[at + 5] = n; r[at + 6] = k; r[at + 7] = dtype; r[at + 8] = out_dtype; r[at + 9] = a_row; r[at + 10] = a_col; r[at + 11] = b_row; r[at + 12] = b_col; r[at + 13] = out_row; r[at + 14] = batch_ndim; for (let i = 0; i < 4; i++) r[at + 15 + i] = batch[i] ?? 0; for (let i = 0; i < 4; i++) r[at + 19 + i] = a_batch[i] ?? 0; for (let i = 0; i < 4; i++) r[at + 23 + i] = b_batch[i] ?? 0; for (let i = 0; i < 4; i++) r[at + 27 + i] = out_batch[i] ?? 0; s.commit(31);
  }

  /** OUT(out) IN(x) IN(codes) IN(scale) IN(zero) IN(bias) IN(residual) I(m) I(n) I(k) I(x_stride) I(out_stride) I(residual_stride) I(x_dtype) I(out_dtype) I(bias_dtype) I(code) I(group_size) I(zero_domain) I(scale_dtype) I(zero_dtype) I(activation) F(act_eps) I(bits) IN(table) */
  linear(out: number, x: number, codes: number, scale: number, zero: number, bias: number, residual: number, m: number, n: number, k: number, x_stride: number, out_stride: number, residual_stride: number, x_dtype: number, out_dtype: number, bias_dtype: number, code: number, group_size: number, zero_domain: number, scale_dtype: number, zero_dtype: number, activation: number, act_eps: number, bits: number, table: number): void {
    const s = this.#stream, at = s.reserve(26), r = s.records; r[at] = 59; r[at + 1] = out; r[at + 2] = x; r[at + 3] = codes; r[at + 4] = scale; r[at + 5] = zero; r[at + 6] = bias; r[at + 7] = residual; r[at + 8] = m; r[at + 9] = n; r[at + 10] = k; r[at + 11] = x_stride; r[at + 12] = out_stride; r[at + 13] = residual_stride; r[at + 14] = x_dtype; r[at + 15] = out_dtype; r[at + 16] = bias_dtype; r[at + 17] = code; r[at + 18] = group_size; r[at + 19] = zero_domain; r[at + 20] = scale_dtype; r[at + 21] = zero_dtype; r[at + 22] = activation; r[at + 23] = act_eps; r[at + 24] = bits; r[at + 25] = table; s.commit(26);
  }

  /** OUT(out) I(m) I(k) I(g_dtype) I(out_dtype) I(count) IN(g0) IN(weight0) I(n0) I(code0) IN(g1) IN(weight1) I(n1) I(code1) IN(g2) IN(weight2) I(n2) I(code2) IN(g3) IN(weight3) I(n3) I(code3) */
  linear_grad_input(out: number, m: number, k: number, g_dtype: number, out_dtype: number, count: number, g0: number, weight0: number, n0: number, code0: number, g1: number, weight1: number, n1: number, code1: number, g2: number, weight2: number, n2: number, code2: number, g3: number, weight3: number, n3: number, code3: number): void {
    const s = this.#stream, at = s.reserve(23), r = s.records; r[at] = 60; r[at + 1] = out; r[at + 2] = m; r[at + 3] = k; r[at + 4] = g_dtype; r[at + 5] = out_dtype; r[at + 6] = count; r[at + 7] = g0; r[at + 8] = weight0; r[at + 9] = n0; r[at + 10] = code0; r[at + 11] = g1; r[at + 12] = weight1; r[at + 13] = n1; r[at + 14] = code1; r[at + 15] = g2; r[at + 16] = weight2; r[at + 17] = n2; r[at + 18] = code2; r[at + 19] = g3; r[at + 20] = weight3; r[at + 21] = n3; r[at + 22] = code3; s.commit(23);
  }

  /** OUT(out) IN(g) IN(codes) IN(scale) IN(zero) I(m) I(n) I(k) I(g_dtype) I(out_dtype) I(code) I(group_size) I(zero_domain) I(scale_dtype) I(zero_dtype) I(bits) IN(table) */
  linear_grad_input_coded(out: number, g: number, codes: number, scale: number, zero: number, m: number, n: number, k: number, g_dtype: number, out_dtype: number, code: number, group_size: number, zero_domain: number, scale_dtype: number, zero_dtype: number, bits: number, table: number): void {
    const s = this.#stream, at = s.reserve(18), r = s.records; r[at] = 61; r[at + 1] = out; r[at + 2] = g; r[at + 3] = codes; r[at + 4] = scale; r[at + 5] = zero; r[at + 6] = m; r[at + 7] = n; r[at + 8] = k; r[at + 9] = g_dtype; r[at + 10] = out_dtype; r[at + 11] = code; r[at + 12] = group_size; r[at + 13] = zero_domain; r[at + 14] = scale_dtype; r[at + 15] = zero_dtype; r[at + 16] = bits; r[at + 17] = table; s.commit(18);
  }

  /** OUT(out) IN(g) IN(x) I(m) I(n) I(k) I(g_dtype) I(x_dtype) I(out_dtype) */
  linear_grad_weight(out: number, g: number, x: number, m: number, n: number, k: number, g_dtype: number, x_dtype: number, out_dtype: number): void {
    const s = this.#stream, at = s.reserve(10), r = s.records; r[at] = 62; r[at + 1] = out; r[at + 2] = g; r[at + 3] = x; r[at + 4] = m; r[at + 5] = n; r[at + 6] = k; r[at + 7] = g_dtype; r[at + 8] = x_dtype; r[at + 9] = out_dtype; s.commit(10);
  }

  /** OUT(values) OUT(meta) IN(x) I(groups) I(dtype) */
  sparse24_compress(values: number, meta: number, x: number, groups: number, dtype: number): void {
    const s = this.#stream, at = s.reserve(6), r = s.records; r[at] = 63; r[at + 1] = values; r[at + 2] = meta; r[at + 3] = x; r[at + 4] = groups; r[at + 5] = dtype; s.commit(6);
  }

  /** OUT(out) IN(values) IN(meta) I(groups) I(dtype) */
  sparse24_expand(out: number, values: number, meta: number, groups: number, dtype: number): void {
    const s = this.#stream, at = s.reserve(6), r = s.records; r[at] = 64; r[at + 1] = out; r[at + 2] = values; r[at + 3] = meta; r[at + 4] = groups; r[at + 5] = dtype; s.commit(6);
  }

  /** OUT(out) IN(x) I(rows) I(columns) I(dtype) I(magnitude) */
  prune_tile4x4(out: number, x: number, rows: number, columns: number, dtype: number, magnitude: number): void {
    const s = this.#stream, at = s.reserve(7), r = s.records; r[at] = 65; r[at + 1] = out; r[at + 2] = x; r[at + 3] = rows; r[at + 4] = columns; r[at + 5] = dtype; r[at + 6] = magnitude; s.commit(7);
  }

  /** OUT(out) IN(x) IN(values) IN(crow) IN(col) IN(bias) I(m) I(n) I(k) I(block) I(dtype) */
  block_sparse_linear(out: number, x: number, values: number, crow: number, col: number, bias: number, m: number, n: number, k: number, block: number, dtype: number): void {
    const s = this.#stream, at = s.reserve(12), r = s.records; r[at] = 66; r[at + 1] = out; r[at + 2] = x; r[at + 3] = values; r[at + 4] = crow; r[at + 5] = col; r[at + 6] = bias; r[at + 7] = m; r[at + 8] = n; r[at + 9] = k; r[at + 10] = block; r[at + 11] = dtype; s.commit(12);
  }

  /** OUT(out) IN(x) IN(crow) IN(col) I(n) I(k) I(block) I(dtype) I(gather) */
  block_sparse_copy(out: number, x: number, crow: number, col: number, n: number, k: number, block: number, dtype: number, gather: number): void {
    const s = this.#stream, at = s.reserve(10), r = s.records; r[at] = 67; r[at + 1] = out; r[at + 2] = x; r[at + 3] = crow; r[at + 4] = col; r[at + 5] = n; r[at + 6] = k; r[at + 7] = block; r[at + 8] = dtype; r[at + 9] = gather; s.commit(10);
  }

  /** OUT(address) I(group) I(host) I(rank) I(size) */
  group_open(address: number, group: number, host: number, rank: number, size: number): void {
    const s = this.#stream, at = s.reserve(6), r = s.records; r[at] = 68; r[at + 1] = address; r[at + 2] = group; r[at + 3] = host; r[at + 4] = rank; r[at + 5] = size; s.commit(6);
  }

  /** INOUT(addresses) I(group) F(timeout) */
  group_connect(addresses: number, group: number, timeout: number): void {
    const s = this.#stream, at = s.reserve(4), r = s.records; r[at] = 69; r[at + 1] = addresses; r[at + 2] = group; r[at + 3] = timeout; s.commit(4);
  }

  /** I(group) */
  group_close(group: number): void {
    const s = this.#stream, at = s.reserve(2), r = s.records; r[at] = 70; r[at + 1] = group; s.commit(2);
  }

  /** INOUT(out) IN(x) I(group) I(what) I(n) I(dtype) I(reduce) I(root) */
  collective(out: number, x: number, group: number, what: number, n: number, dtype: number, reduce: number, root: number): void {
    const s = this.#stream, at = s.reserve(9), r = s.records; r[at] = 71; r[at + 1] = out; r[at + 2] = x; r[at + 3] = group; r[at + 4] = what; r[at + 5] = n; r[at + 6] = dtype; r[at + 7] = reduce; r[at + 8] = root; s.commit(9);
  }
}
