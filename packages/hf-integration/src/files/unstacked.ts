// unstacked(file, outline): the file as its model names things, where it holds several parameters in one tensor (experts
// [E, N, K] whose rows follow each other), plain or quantized, or one under another name. Nothing is read: a part is ranges
// of bytes. Scales that lie by columns, [E, K / g, N], are taken apart column by column; one scale of all belongs to each.
import { AoError, type ByteSource, type TensorFile } from '@ao/core';
import { fileNamesOf } from '@ao/quantization';
import type { Outline } from '../models/family.ts';

/** `size` bytes: runs of `run` bytes, `stride` from one to the next. */
interface Part {
  /** The tensor of the file. */
  readonly of: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly size: number;
  readonly run: number;
  readonly stride: number;
}

interface Rows {
  readonly name: string;
  readonly count: number;
}

/** What torchao's class has by columns of a matrix. */
const BY_COLUMNS: Readonly<Record<string, RegExp>> = { Int4Tensor: /_(scale|zero_point)$/ };

export const liesByColumns = (type: string, key: string): boolean => BY_COLUMNS[type]?.test(key) ?? false;

export function unstacked(file: TensorFile, outline: Outline): TensorFile {
  const parts = new Map<string, Part>();
  const taken = new Set<string>();
  const metadata: Record<string, string> = { ...file.metadata };
  const count = new Map(outline.parameters.map((p) => [p.name, p.shape[0]!]));
  for (const [of, names] of Object.entries(outline.stacked ?? {})) {
    const text = file.metadata[of];
    const keys = file.has(of) ? [of] : text === undefined ? [] : fileNamesOf(of, file.metadata);
    if (keys.length === 0) continue;
    const { _type, ...entry } = JSON.parse(text ?? PLAIN) as Entry;
    for (const name of names) metadata[name] = JSON.stringify({ _type, ...matrixOf(entry, count.get(name)!) });
    delete metadata[of];
    for (const [i, key] of keys.entries()) {
      const rows = names.map((name): Rows => ({ name: fileNamesOf(name, metadata)[i]!, count: count.get(name)! }));
      const each = liesByColumns(_type, key) ? columns(file, key, rows) : split(file, key, rows);
      for (const [name, part] of each) parts.set(name, part);
      taken.add(key);
    }
  }
  return taken.size === 0 ? file : view(file, metadata, parts, taken);
}

const PLAIN = '{"_type": "Tensor"}';

interface Entry {
  readonly _type: string;
  readonly _data?: { readonly block_size?: readonly number[]; readonly shape?: readonly number[] };
}

/** The metadata of one matrix of a stack: blocks of [1, 1, k] become [1, k], and one block of all that of its rows. */
function matrixOf({ _data, ...entry }: Omit<Entry, '_type'>, rows: number): object {
  const { block_size: block, shape } = _data ?? {};
  if (block?.length !== 3) return { ...entry, ...(_data && { _data }) };
  const [, height = 1, width] = block;
  const own = { block_size: [height === 1 ? 1 : rows, width], ...(shape && { shape: [rows, shape[2]] }) };
  return { ...entry, _data: { ..._data, ...own } };
}

const sum = (rows: readonly Rows[]): number => rows.reduce((n, r) => n + r.count, 0);

function misfit(of: string, shape: readonly number[], rows: readonly Rows[]): AoError {
  return new AoError(
    'ERR_AO_FORMAT',
    `the shape is [${shape}], config.json means ${sum(rows)} rows of ${rows.length} parts`,
    { tensor: of, fix: 'use the config.json that belongs to these weights' },
  );
}

/** The parts of a tensor [E, N, ...], or [N, ...], as rows that follow each other. */
function split(file: TensorFile, of: string, rows: readonly Rows[]): [string, Part][] {
  const { shape, begin, end } = file.entry(of);
  const bytes = end - begin;
  if (shape.length === 3 && shape.every((n) => n === 1)) {
    return rows.map(({ name }) => [name, { of, shape: [1, 1], begin: 0, size: bytes, run: bytes, stride: 0 }]);
  }
  const total = sum(rows);
  const lead = shape[0] === total ? 1 : 2;
  if (lead === 2 && (shape[0] ?? 0) * (shape[1] ?? 0) !== total) throw misfit(of, shape, rows);
  let at = 0;
  return rows.map(({ name, count }): [string, Part] => {
    const [from, size] = [(at / total) * bytes, (count / total) * bytes];
    at += count;
    return [name, { of, shape: [count, ...shape.slice(lead)], begin: from, size, run: size, stride: 0 }];
  });
}

/** The parts of a tensor [E, C, N] that hold columns of each [C, N]. */
function columns(file: TensorFile, of: string, rows: readonly Rows[]): [string, Part][] {
  const { shape, begin, end } = file.entry(of);
  const [experts = 0, height = 0, width = 0] = shape;
  if (shape.length !== 3 || experts * width !== sum(rows)) throw misfit(of, shape, rows);
  const item = (end - begin) / (experts * height * width);
  let at = 0;
  return rows.map(({ name, count }): [string, Part] => {
    const [expert, column] = [Math.floor(at / width), at % width];
    if (column + count > width) throw misfit(of, shape, rows);
    at += count;
    const from = (expert * height * width + column) * item;
    const size = height * count * item;
    return [name, { of, shape: [height, count], begin: from, size, run: count * item, stride: width * item }];
  });
}

/** Bytes begin to end of a part, run by run. */
async function readRuns(file: TensorFile, part: Part, begin: number, end: number): Promise<Uint8Array> {
  const { of, begin: start, run, stride } = part;
  if (run === part.size) return file.readRange(of, start + begin, start + end);
  const out = new Uint8Array(end - begin);
  for (let at = begin; at < end; ) {
    const [index, offset] = [Math.floor(at / run), at % run];
    const length = Math.min(run - offset, end - at);
    const from = start + index * stride + offset;
    out.set(await file.readRange(of, from, from + length), at - begin);
    at += length;
  }
  return out;
}

function view(
  file: TensorFile,
  metadata: Readonly<Record<string, string>>,
  parts: ReadonlyMap<string, Part>,
  taken: ReadonlySet<string>,
): TensorFile {
  const readRange: TensorFile['readRange'] = (name, begin, end) => {
    const part = parts.get(name);
    return part === undefined ? file.readRange(name, begin, end) : readRuns(file, part, begin, end);
  };
  const entry: TensorFile['entry'] = (name) => {
    const part = parts.get(name);
    if (part === undefined) return file.entry(name);
    const whole = file.entry(part.of);
    const begin = whole.begin + part.begin;
    return { ...whole, shape: part.shape, begin, end: begin + part.size };
  };
  const source = (name: string, { size }: Part): ByteSource => ({
    name: file.name,
    size,
    read: (offset, length) => readRange(name, offset, offset + length),
  });
  return {
    name: file.name,
    metadata,
    names: [...file.names.filter((name) => !taken.has(name)), ...parts.keys()],
    has: (name) => parts.has(name) || (file.has(name) && !taken.has(name)),
    entry,
    read: (name) => readRange(name, 0, entry(name).end - entry(name).begin),
    readRange,
    locate(name) {
      const part = parts.get(name);
      if (part === undefined) return file.locate(name);
      if (part.run !== part.size) return { source: source(name, part), offset: 0 };
      const { source: from, offset } = file.locate(part.of);
      return { source: from, offset: offset + part.begin };
    },
  };
}
