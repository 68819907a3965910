// openGguf(source, head, parameters): a GGUF as the safetensors file that a torchao model would be, so that loading, inspecting
// and converting need not know of it. Nothing is read before it is asked for: a range of codes decodes the blocks that it lies
// in; scales are kept on the way, since they are asked for next.
import { type ByteSource, bfloat16, type DType, float16, type SafetensorsEntry, type TensorFile } from '@ao/core';
import { type BlockForm, blockForms, type Decoded } from './decode-blocks.ts';
import { type GgufPart, ggufParts, PLAIN_METADATA } from './gguf-parts.ts';
import type { GgufParameter } from './gguf-tensors.ts';
import { alternatingRow } from './names.ts';
import { ggufError } from './parse-gguf.ts';

interface Entry extends SafetensorsEntry {
  readonly parameter: GgufParameter;
  readonly part: GgufPart;
  /** Bytes of a row [K] of the part, whichever way it is turned. */
  readonly rowBytes: number;
}

const SIZES: Readonly<Record<string, number>> = { I8: 1, F16: 2, BF16: 2, F32: 4 };

/** `dtype`: the model's. */
export function openGguf(source: ByteSource, parameters: readonly GgufParameter[], dtype: string): TensorFile {
  const metadata: Record<string, string> = {};
  const entries = new Map<string, Entry>();
  for (const parameter of parameters) {
    const form = blockForms[parameter.type.name];
    const { metadata: line, parts } = form ? ggufParts(parameter.name, form, parameter.shape, dtype) : plain(parameter);
    metadata[parameter.name] = line;
    for (const part of parts) {
      const nbytes = part.shape.reduce((n, d) => n * d, SIZES[part.dtype]!);
      const rows = rowsOf(parameter);
      const rowBytes = rows === 0 ? 0 : nbytes / rows;
      entries.set(part.key, {
        name: part.key,
        dtype: part.dtype,
        shape: part.shape,
        begin: 0,
        end: nbytes,
        parameter,
        part,
        rowBytes,
      });
    }
  }
  const entry = (name: string): Entry => {
    const found = entries.get(name);
    if (found) return found;
    throw ggufError(source.name, 'there is no such tensor', name);
  };
  let scales: Scales | undefined;
  const readRange = async (name: string, begin: number, end: number): Promise<Uint8Array> => {
    const e = entry(name);
    if (begin === end) return new Uint8Array(0);
    if (e.part.role === 'zero') return new Uint8Array(end - begin);
    if (scales?.parameter !== e.parameter) scales = new Scales(e.parameter);
    if (e.part.role === 'scale' || e.part.role === 'offset') {
      const whole = await scales.get(e.part, (from, to) => decodeRows(source, e.parameter, from, to, scales!));
      return whole.slice(begin, end);
    }
    const [from, to] = [Math.floor(begin / e.rowBytes), Math.ceil(end / e.rowBytes)];
    const bytes = await valuesOf(source, e, from, to, scales);
    return bytes.subarray(begin - from * e.rowBytes, end - from * e.rowBytes);
  };
  return {
    name: source.name,
    metadata,
    names: [...entries.keys()],
    has: (name) => entries.has(name),
    entry,
    read: (name) => readRange(name, 0, entry(name).end),
    readRange,
    locate(name) {
      const e = entry(name);
      if (e.part.role === 'values' && isAsStored(e.parameter)) return { source, offset: e.parameter.offset };
      const read = (at: number, length: number): Promise<Uint8Array> => readRange(name, at, at + length);
      return { source: { name: source.name, size: e.end, read }, offset: 0 };
    },
  };
}

const rowsOf = ({ shape }: GgufParameter): number =>
  shape.length === 1 ? 1 : shape.slice(0, -1).reduce((n, d) => n * d, 1);
const columnsOf = ({ shape }: GgufParameter): number => shape.at(-1) ?? 1;
const isAsStored = (p: GgufParameter): boolean =>
  blockForms[p.type.name] === undefined && p.alternating === undefined && p.added === 0;

function plain({ name, type, shape, added }: GgufParameter): { metadata: string; parts: GgufPart[] } {
  const dtype = added === 0 ? type.name : 'F32';
  return { metadata: PLAIN_METADATA, parts: [{ key: name, role: 'values', dtype, shape, turned: false }] };
}

/** Rows of the parameter as they lie in the file; where heads alternate, those of whole heads. */
async function storedRows(
  source: ByteSource,
  p: GgufParameter,
  from: number,
  to: number,
): Promise<{ readonly bytes: Uint8Array; at(row: number): number }> {
  const rowBytes = (columnsOf(p) / p.type.block) * p.type.bytes;
  // a bias of heads that alternate is one row, of single values
  const head = p.alternating === undefined ? 1 : rowsOf(p) / p.alternating;
  const [first, last] = [Math.floor(from / head) * head, Math.ceil(to / head) * head];
  const length = (last - first) * rowBytes;
  const bytes = await source.read(p.offset + first * rowBytes, length);
  if (bytes.byteLength < length)
    throw ggufError(source.name, `${bytes.byteLength} of ${length} bytes are there`, p.name);
  const stored = (row: number): number =>
    p.alternating === undefined ? row : alternatingRow(row, rowsOf(p), p.alternating);
  return { bytes, at: (row) => (stored(row) - first) * rowBytes };
}

/** Codes of the rows, their scales and offsets; kept in `scales`. */
async function decodeRows(
  source: ByteSource,
  p: GgufParameter,
  from: number,
  to: number,
  scales: Scales,
): Promise<Int8Array> {
  const form = blockForms[p.type.name]!;
  const { bytes, at } = await storedRows(source, p, from, to);
  const columns = columnsOf(p);
  const codes = new Int8Array((to - from) * columns);
  const groups = columns / form.group;
  const out: Decoded = { codes, scale: scales.scale, offset: scales.offset };
  for (let row = from; row < to; row++) {
    let byte = at(row);
    for (let k = 0; k < columns; k += p.type.block, byte += p.type.bytes) {
      form.decode(bytes, byte, out, (row - from) * columns + k, row * groups + k / form.group);
    }
  }
  scales.done(from, to);
  return codes;
}

async function valuesOf(source: ByteSource, e: Entry, from: number, to: number, scales: Scales): Promise<Uint8Array> {
  const { parameter: p, part } = e;
  const form = blockForms[p.type.name];
  if (form === undefined) return plainRows(source, p, from, to);
  const codes = await decodeRows(source, p, from, to, scales);
  if (part.role === 'nibbles') return packed(codes);
  if (part.role === 'codes') return new Uint8Array(codes.buffer);
  const values = new Float32Array(codes.length);
  const first = (from * columnsOf(p)) / form.group;
  for (let i = 0; i < codes.length; i++) {
    const g = first + Math.floor(i / form.group);
    values[i] = codes[i]! * scales.scale[g]! + (form.offset ? scales.offset[g]! : 0);
  }
  return minus(values, p.added);
}

/** Two codes a byte, the even one in the low half. */
function packed(codes: Int8Array): Uint8Array {
  const out = new Uint8Array(codes.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = (codes[2 * i]! & 15) | (codes[2 * i + 1]! << 4);
  return out;
}

async function plainRows(source: ByteSource, p: GgufParameter, from: number, to: number): Promise<Uint8Array> {
  // rows of one value each where a bias alternates
  const bias = p.alternating !== undefined && p.shape.length === 1;
  const q = bias ? { ...p, shape: [p.shape[0]!, 1] } : p;
  const [first, last] = bias ? [0, p.shape[0]!] : [from, to];
  const { bytes, at } = await storedRows(source, q, first, last);
  const rowBytes = columnsOf(q) * p.type.bytes;
  const out = new Uint8Array((last - first) * rowBytes);
  for (let row = first; row < last; row++) {
    const begin = at(row);
    out.set(bytes.subarray(begin, begin + rowBytes), (row - first) * rowBytes);
  }
  return p.added === 0 ? out : minus(floats(out, p.type.name), p.added);
}

const NARROW: Readonly<Record<string, DType>> = { F16: float16, BF16: bfloat16 };

function floats(bytes: Uint8Array, type: string): Float32Array {
  const dtype = NARROW[type];
  if (dtype === undefined) return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const raw = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  return Float32Array.from(raw, (code) => dtype.decode(code));
}

function minus(values: Float32Array, added: number): Uint8Array {
  if (added !== 0) for (let i = 0; i < values.length; i++) values[i]! -= added;
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Scales and offsets of one parameter, [N, K/g], as its rows are decoded. */
class Scales {
  readonly parameter: GgufParameter;
  readonly scale: Float32Array;
  readonly offset: Float32Array;
  readonly #form: BlockForm | undefined;
  #rows = 0;

  constructor(parameter: GgufParameter) {
    this.parameter = parameter;
    this.#form = blockForms[parameter.type.name];
    const count = this.#form ? (rowsOf(parameter) * columnsOf(parameter)) / this.#form.group : 0;
    this.scale = new Float32Array(count);
    this.offset = new Float32Array(this.#form?.offset ? count : 0);
  }

  /** The rows up to `to` are there, if those before were. */
  done(from: number, to: number): void {
    if (from <= this.#rows) this.#rows = Math.max(this.#rows, to);
  }

  /** The bytes of a whole part. */
  async get(part: GgufPart, decode: (from: number, to: number) => Promise<unknown>): Promise<Uint8Array> {
    const rows = rowsOf(this.parameter);
    const step = Math.max(1, Math.floor((4 << 20) / columnsOf(this.parameter)));
    while (this.#rows < rows) await decode(this.#rows, Math.min(this.#rows + step, rows));
    const values = part.role === 'scale' ? this.scale : this.offset;
    const ordered = part.turned ? turned(values, rows) : values;
    if (part.dtype === 'F32') return new Uint8Array(ordered.buffer, 0, ordered.byteLength);
    return new Uint8Array(Uint16Array.from(ordered, (x) => float16.encode(x)).buffer);
  }
}

/** [N, G] -> [G, N]. */
function turned(values: Float32Array, rows: number): Float32Array {
  const groups = values.length / rows;
  const out = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) for (let g = 0; g < groups; g++) out[g * rows + r] = values[r * groups + g]!;
  return out;
}
