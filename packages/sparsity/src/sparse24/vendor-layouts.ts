// 2:4 weights as NVIDIA's libraries have them. Both take the values [N, K / 2] row-major and 16-bit words (int8 weights: 32-bit) of
// which each holds the nibbles of 16 (32) columns; they differ in where a word lies.
//   CUTLASS      sparse_semi_structured_from_dense_cutlass of PyTorch: rows are mixed within groups of 32 (16), then 2 x 2 words
//                swapped across their diagonal, columns of words in pairs; a matrix of words [N, words of a row]
//   cuSPARSELt   16-bit values only: values, then the words, in one tensor. Tiles of 32 x 32 weights, inside as CUTLASS has them, four
//                under each other, then those to the right of them, then the next 128 rows, then the next 64 columns. NVIDIA
//                documents none of it; this is the order that PyTorch's kernels for it write
import { AoError, type Dense, fromBits, type Tensor, uint8 } from '@ao/core';
import { type Sparse24Tensor, sparse24Kind } from './sparse24-tensor.ts';

export interface CutlassMeta {
  /** Words as signed numbers. */
  readonly data: Int16Array | Int32Array;
  readonly shape: readonly [rows: number, words: number];
}

interface Words {
  readonly rows: number;
  readonly across: number;
  /** Bytes of a word. */
  readonly size: 2 | 4;
}

function layoutError(what: string, fix: string): AoError {
  return new AoError('ERR_AO_SHAPE', what, { op: 'sparse24', fix });
}

function wordsOf(values: Tensor): Words {
  const [rows = 0, half = 0] = values.shape;
  const { name, itemsize } = values.dtype;
  if (values.kind !== null || (itemsize !== 2 && itemsize !== 1)) {
    throw layoutError(`values of ${values.kind?.name ?? name}`, 'give plain 16-bit floats or int8 codes');
  }
  const size = itemsize === 2 ? 2 : 4;
  const [down, columns] = size === 2 ? [32, 16] : [16, 32];
  if (rows % down !== 0 || (2 * half) % columns !== 0) {
    throw layoutError(`[${rows}, ${2 * half}]`, `give a multiple of ${down} rows and ${columns} columns`);
  }
  return { rows, across: (2 * half) / columns, size };
}

/** Where CUTLASS has word c of row r. */
function cutlassAt({ rows, size }: Words, r: number, c: number): number {
  const [group, weave] = size === 2 ? [32, 4] : [16, 2];
  const row = Math.floor(r / group) * group + (r % 8) * weave + Math.floor((r % group) / 8);
  const swap = row % 2 === 0 && c % 2 === 1 ? 1 : row % 2 === 1 && c % 2 === 0 ? -1 : 0;
  const column = c - swap;
  return Math.floor(column / 2) * rows * 2 + (row + swap) * 2 + (column % 2);
}

/** Where cuSPARSELt has it: its place in a 32 x 32 tile of 64 words is CUTLASS's. */
function cusparseLtAt(w: Words, r: number, c: number): number {
  const [down, right] = [Math.floor(r / 32), Math.floor(c / 2)];
  const inside = cutlassAt({ ...w, rows: 32 }, r % 32, c % 2);
  const block = Math.floor(right / 2) * (w.rows / 128) + Math.floor(down / 4);
  return block * 512 + (right % 2) * 256 + (down % 4) * 64 + inside;
}

type Place = (w: Words, r: number, c: number) => number;

function scattered(meta: Uint8Array, w: Words, place: Place): Uint8Array {
  const out = new Uint8Array(meta.length);
  for (let r = 0; r < w.rows; r++) {
    for (let c = 0; c < w.across; c++) {
      const from = (r * w.across + c) * w.size;
      out.set(meta.subarray(from, from + w.size), place(w, r, c) * w.size);
    }
  }
  return out;
}

function gathered(words: Uint8Array, w: Words, place: Place): Uint8Array {
  const out = new Uint8Array(words.length);
  for (let r = 0; r < w.rows; r++) {
    for (let c = 0; c < w.across; c++) {
      const from = place(w, r, c) * w.size;
      out.set(words.subarray(from, from + w.size), (r * w.across + c) * w.size);
    }
  }
  return out;
}

function tensorOf(values: Dense, meta: Uint8Array): Sparse24Tensor {
  const [rows, half] = values.shape as [number, number];
  const places = fromBits(values.rt, meta, [rows, half / 4], uint8, { device: values.device });
  return sparse24Kind.make({ values, meta: places }, {}, [rows, 2 * half], values.dtype);
}

/** torch's `packed` and `meta` of SparseSemiStructuredTensorCUTLASS. Throws ERR_AO_SHAPE where they do not exist. */
export async function toCutlass(t: Sparse24Tensor): Promise<{ readonly packed: Dense; readonly meta: CutlassMeta }> {
  const values = t.values as Dense;
  const w = wordsOf(values);
  const { buffer } = scattered((await t.meta.bits()) as Uint8Array, w, cutlassAt);
  const data = w.size === 2 ? new Int16Array(buffer) : new Int32Array(buffer);
  return { packed: values, meta: { data, shape: [w.rows, w.across] } };
}

/** The tensor of CUTLASS's values and words; `values` is taken over. */
export function fromCutlass(values: Dense, meta: Int16Array | Int32Array): Sparse24Tensor {
  const w = wordsOf(values);
  const words = new Uint8Array(meta.buffer, meta.byteOffset, meta.byteLength);
  return tensorOf(values, gathered(words, w, cutlassAt));
}

function requireTiles({ rows, across, size }: Words): void {
  if (size === 2 && rows % 128 === 0 && across % 4 === 0) return;
  throw layoutError(
    `[${rows}, ${across * 16}]`,
    "cuSPARSELt's layout is known for 16-bit values of 128 n rows and 64 n columns",
  );
}

/** The bytes of torch's SparseSemiStructuredTensorCUSPARSELT.packed: values, then words. Throws ERR_AO_SHAPE. */
export async function toCusparseLt(t: Sparse24Tensor): Promise<Uint8Array> {
  const w = wordsOf(t.values);
  requireTiles(w);
  const values = (await t.values.bits()) as Uint16Array;
  const head = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const words = scattered((await t.meta.bits()) as Uint8Array, w, cusparseLtAt);
  const out = new Uint8Array(head.length + words.length);
  out.set(head);
  out.set(words, head.length);
  return out;
}

/** The tensor of cuSPARSELt's bytes of a weight [rows, columns] in the dtype of `like`, on its device. */
export function fromCusparseLt(bytes: Uint8Array, shape: readonly [number, number], like: Tensor): Sparse24Tensor {
  const [rows, columns] = shape;
  const size = rows * columns;
  if (bytes.length !== (size * 9) / 8) {
    throw layoutError(`${bytes.length} bytes for [${rows}, ${columns}]`, `give ${(size * 9) / 8} of them`);
  }
  const codes = new Uint16Array(bytes.slice(0, size).buffer);
  const values = fromBits(like.rt, codes, [rows, columns / 2], like.dtype, { device: like.device });
  const w = wordsOf(values);
  requireTiles(w);
  return tensorOf(values, gathered(bytes.subarray(size), w, cusparseLtAt));
}
