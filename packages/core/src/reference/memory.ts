// Reading and writing tensors of the reference backend: values as numbers, row-major whatever the strides.
import type { Buffer } from '../backend.ts';
import { decodeValues, encodeArray, type RawArray, type ValueArray } from '../dtype.ts';
import { type Dense, numel } from '../tensor.ts';

export interface RefBuffer extends Buffer {
  readonly bytes: ArrayBuffer;
}

/** The whole storage in the dtype's raw array. */
function rawStorage(t: Dense): RawArray {
  const { bytes } = t.storage.buffer as RefBuffer;
  return new t.dtype.array(bytes, 0, Math.floor(bytes.byteLength / t.dtype.itemsize));
}

/** Calls visit(position in the storage) for each element, row-major. */
export function eachPosition(t: Dense, visit: (position: number, index: number) => void): void {
  const n = numel(t.shape);
  const { shape, strides } = t;
  const index = new Array<number>(shape.length).fill(0);
  let position = t.offset;
  for (let i = 0; i < n; i++) {
    visit(position, i);
    for (let d = shape.length - 1; d >= 0; d--) {
      index[d]! += 1;
      position += strides[d]!;
      if (index[d]! < shape[d]!) break;
      position -= strides[d]! * shape[d]!;
      index[d] = 0;
    }
  }
}

/** Raw codes, row-major; a view of the storage where the tensor is contiguous. */
export function rawOf(t: Dense): RawArray {
  const raw = rawStorage(t);
  if (t.contiguous) return raw.subarray(t.offset, t.offset + numel(t.shape)) as RawArray;
  const out = new t.dtype.array(numel(t.shape));
  eachPosition(t, (position, i) => {
    out[i] = raw[position]!;
  });
  return out;
}

/** Values, row-major. float32 and float64 come without a copy where the tensor is contiguous. */
export function valuesOf(t: Dense): ValueArray {
  const raw = rawOf(t);
  const { name } = t.dtype;
  return name === 'float32' || name === 'float64' ? (raw as ValueArray) : decodeValues(t.dtype, raw);
}

/** Writes raw codes, row-major, whatever the strides. */
export function storeRaw(t: Dense, codes: RawArray): void {
  const raw = rawStorage(t);
  if (t.contiguous) raw.set(codes as never, t.offset);
  else
    eachPosition(t, (position, i) => {
      raw[position] = codes[i]!;
    });
}

/** Writes values rounded to the dtype. */
export function store(t: Dense, values: ArrayLike<number>): void {
  storeRaw(t, encodeArray(t.dtype, values));
}

/** Rounds a number to what the tensor's dtype computes in: float64 as it is, all else float32. */
export function rounding(t: Dense): (x: number) => number {
  return t.dtype.name === 'float64' ? (x) => x : Math.fround;
}
