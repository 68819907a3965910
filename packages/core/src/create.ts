// New dense tensors. The runtime comes first; `device` defaults to the runtime's, `dtype` to float32.
import { type DType, encodeArray, type RawArray } from './dtype.ts';
import { float32, int32 } from './dtypes/index.ts';
import { AoError } from './errors.ts';
import { fill_ } from './ops/copy.ts';
import type { Runtime } from './runtime.ts';
import { Dense, numel } from './tensor.ts';

export interface CreateOptions {
  readonly dtype?: DType;
  readonly device?: string;
}

export type NestedNumbers = number | boolean | readonly NestedNumbers[];

/** Uninitialised memory. */
export function empty(rt: Runtime, shape: readonly number[], options: CreateOptions = {}): Dense {
  const dtype = options.dtype ?? float32;
  if (shape.some((d) => !Number.isInteger(d) || d < 0)) {
    throw new AoError('ERR_AO_SHAPE', `[${shape}] is no shape`, { op: 'empty', fix: 'give whole numbers from 0 up' });
  }
  return new Dense(rt, rt.storage(options.device ?? rt.device, numel(shape) * dtype.itemsize), shape, dtype);
}

/** Raw codes as they are, row-major. */
export function fromBits(
  rt: Runtime,
  bits: RawArray | Uint8Array,
  shape: readonly number[],
  dtype: DType,
  options: { readonly device?: string } = {},
): Dense {
  const bytes = new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
  if (bytes.byteLength !== numel(shape) * dtype.itemsize) {
    throw new AoError('ERR_AO_SHAPE', `${bytes.byteLength} bytes do not fill ${dtype.name}[${shape}]`, {
      op: 'fromBits',
      fix: `give ${numel(shape) * dtype.itemsize} bytes`,
    });
  }
  const t = empty(rt, shape, { ...options, dtype });
  rt.checkReadable(t.storage.backend, 'fromBits');
  t.storage.backend.write(t.storage.buffer, 0, bytes);
  return t;
}

function flatten(data: NestedNumbers, depth: number, shape: number[], out: number[]): void {
  if (!Array.isArray(data)) {
    if (depth !== shape.length)
      throw new AoError('ERR_AO_SHAPE', 'data is ragged', { op: 'tensor', fix: 'make all rows equally deep' });
    out.push(Number(data));
    return;
  }
  if (depth === shape.length && out.length === 0) shape.push(data.length);
  if (shape[depth] !== data.length) {
    throw new AoError('ERR_AO_SHAPE', `data is ragged: a row of ${data.length} where others have ${shape[depth]}`, {
      op: 'tensor',
      fix: 'make all rows equally long',
    });
  }
  for (const row of data as readonly NestedNumbers[]) flatten(row, depth + 1, shape, out);
}

/** Values from nested arrays, or from a flat array with `shape`. */
export function tensor(
  rt: Runtime,
  data: NestedNumbers | ArrayLike<number>,
  options: CreateOptions & { readonly shape?: readonly number[] } = {},
): Dense {
  const dtype = options.dtype ?? float32;
  let flat: ArrayLike<number>;
  let { shape } = options;
  if (ArrayBuffer.isView(data)) {
    flat = data as unknown as ArrayLike<number>;
    shape ??= [flat.length];
  } else {
    const found: number[] = [];
    const out: number[] = [];
    flatten(data as NestedNumbers, 0, found, out);
    flat = out;
    shape ??= found;
  }
  return fromBits(rt, encodeArray(dtype, flat), shape, dtype, options);
}

export function full(rt: Runtime, shape: readonly number[], value: number, options: CreateOptions = {}): Dense {
  return fill_(empty(rt, shape, options), value) as Dense;
}

export function zeros(rt: Runtime, shape: readonly number[], options: CreateOptions = {}): Dense {
  return full(rt, shape, 0, options);
}

export function ones(rt: Runtime, shape: readonly number[], options: CreateOptions = {}): Dense {
  return full(rt, shape, 1, options);
}

/** start, start + step, ... below end; int32 unless another dtype is given. */
export function arange(rt: Runtime, start: number, end: number, step = 1, options: CreateOptions = {}): Dense {
  const n = Math.max(0, Math.ceil((end - start) / step));
  const values = Float64Array.from({ length: n }, (_, i) => start + i * step);
  return tensor(rt, values, { dtype: int32, ...options });
}
