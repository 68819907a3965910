/**
 * A dtype is one row of facts plus a scalar codec: encode(number) -> raw code, decode(raw code) -> number.
 * Bulk conversion uses the row's own loop where it has one. Values go through float32 first, as torch's casts do,
 * except where the dtype holds more than float32 can (float64 and the integers).
 */
import { AoError } from './errors.ts';
import { internTable } from './identity.ts';

export type RawArray = Float32Array | Float64Array | Int8Array | Uint8Array | Uint16Array | Int32Array;
export type ValueArray = Float32Array | Float64Array | Int8Array | Uint8Array | Int32Array;

export interface ArrayType<T> {
  new (length: number): T;
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): T;
  readonly BYTES_PER_ELEMENT: number;
}

export interface DType<N extends string = string> {
  readonly name: N;
  readonly bits: number;
  readonly itemsize: number;
  readonly category: 'float' | 'int' | 'bool';
  /** Number in the native ABI; 64 and above for dtypes of other packages. */
  readonly code: number;
  /** Name in safetensors files. */
  readonly safetensors: string;
  /** Array of raw codes. int64's is a BigInt64Array, hidden behind encode and decode. */
  readonly array: ArrayType<RawArray>;
  /** Array that data() gives: able to hold every value. */
  readonly values: ArrayType<ValueArray>;
  encode(x: number): number;
  decode(raw: number): number;
  /** Bulk loops; absent = encode or decode for each element. Lengths are equal. */
  encodeInto?(values: ArrayLike<number>, out: RawArray): void;
  decodeInto?(raw: RawArray, out: ValueArray): void;
  /** Smallest and largest finite value. */
  readonly min: number;
  readonly max: number;
  readonly smallestNormal: number;
  readonly eps: number;
}

/** All dtypes defined in this process; the ESM and CJS copies of this package share it. */
export function registeredDTypes(): Map<string, DType> {
  return internTable<DType>('dtype');
}

/** Defines a dtype, or returns the one that another copy of this package defined under the same name. */
export function defineDType<const N extends string>(row: DType<N>): DType<N> {
  const all = registeredDTypes();
  const known = all.get(row.name);
  if (known) {
    if (known.code !== row.code || known.bits !== row.bits || known.safetensors !== row.safetensors) {
      throw new AoError('ERR_AO_DTYPE', `dtype '${row.name}' is defined twice, with different facts`, {
        fix: 'rename one of them, or install one version of the package that defines it',
      });
    }
    return known as DType<N>;
  }
  all.set(row.name, Object.freeze(row));
  return row;
}

export interface EncodeOptions {
  /** Clamp to [min, max] first (NaN stays NaN): float8 codes of quantized values. */
  readonly saturate?: boolean;
}

/** values -> raw codes. */
export function encodeArray(dtype: DType, values: ArrayLike<number>, options: EncodeOptions = {}): RawArray {
  const { length } = values;
  const out = new dtype.array(length);
  const source = options.saturate ? clamped(values, dtype.min, dtype.max) : values;
  if (dtype.encodeInto) dtype.encodeInto(source, out);
  else for (let i = 0; i < length; i++) out[i] = dtype.encode(source[i] as number);
  return out;
}

/** encode() of x clamped to the finite range. */
export function encodeSaturated(dtype: DType, x: number): number {
  return dtype.encode(x < dtype.min ? dtype.min : x > dtype.max ? dtype.max : x);
}

function clamped(values: ArrayLike<number>, min: number, max: number): Float64Array {
  const out = new Float64Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const x = values[i] as number;
    out[i] = x < min ? min : x > max ? max : x;
  }
  return out;
}

function decodeTo<T extends ValueArray>(dtype: DType, raw: RawArray, out: T): T {
  if (dtype.decodeInto) dtype.decodeInto(raw, out);
  else for (let i = 0; i < raw.length; i++) out[i] = dtype.decode(raw[i] as number);
  return out;
}

/** raw codes -> float32 values (rounded where the dtype holds more). */
export const decodeArray = (dtype: DType, raw: RawArray): Float32Array =>
  decodeTo(dtype, raw, new Float32Array(raw.length));

/** raw codes -> the array that data() gives, exact: int64 throws where a value is beyond 2^53. */
export const decodeValues = (dtype: DType, raw: RawArray): ValueArray =>
  decodeTo(dtype, raw, new dtype.values(raw.length));

/** The raw array over these bytes; copies only when the offset does not suit the element size. */
export function rawView(dtype: DType, bytes: Uint8Array): RawArray {
  const { array, itemsize } = dtype;
  if (bytes.byteLength % itemsize !== 0) {
    throw new AoError('ERR_AO_DTYPE', `${bytes.byteLength} bytes are not a whole number of ${dtype.name} elements`);
  }
  const aligned = bytes.byteOffset % itemsize === 0 ? bytes : bytes.slice();
  return new array(aligned.buffer, aligned.byteOffset, bytes.byteLength / itemsize);
}
