// unstacked(file, outline): the file as its model names things, where it holds several parameters in one tensor (experts
// [E, N, K] whose rows follow each other), plain or quantized row by row, or one under another name. Nothing is read: a part
// is a range of bytes.
import { AoError, type TensorFile } from '@ao/core';
import { fileNamesOf } from '@ao/quantization';
import type { Outline } from '../models/family.ts';

interface Part {
  /** The tensor of the file. */
  readonly of: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

interface Rows {
  readonly name: string;
  readonly count: number;
}

export function unstacked(file: TensorFile, outline: Outline): TensorFile {
  const parts = new Map<string, Part>();
  const taken = new Set<string>();
  const metadata: Record<string, string> = { ...file.metadata };
  const count = new Map(outline.parameters.map((p) => [p.name, p.shape[0]!]));
  for (const [of, names] of Object.entries(outline.stacked ?? {})) {
    const text = file.metadata[of];
    const keys = file.has(of) ? [of] : text === undefined ? [] : fileNamesOf(of, file.metadata);
    if (keys.length === 0) continue;
    for (const name of names) metadata[name] = matrixOf(text ?? PLAIN);
    delete metadata[of];
    for (const [i, key] of keys.entries()) {
      const rows = names.map((name): Rows => ({ name: fileNamesOf(name, metadata)[i]!, count: count.get(name)! }));
      for (const [name, part] of split(file, key, rows)) parts.set(name, part);
      taken.add(key);
    }
  }
  return taken.size === 0 ? file : view(file, metadata, parts, taken);
}

const PLAIN = '{"_type": "Tensor"}';

/** The metadata of a stack's quantized matrices: blocks of [1, n, k] become [n, k]. */
function matrixOf(text: string): string {
  const entry = JSON.parse(text) as { readonly _data?: { readonly block_size?: readonly number[] } };
  const block = entry._data?.block_size;
  if (block?.length !== 3) return text;
  return JSON.stringify({ ...entry, _data: { ...entry._data, block_size: block.slice(1) } });
}

/** The parts of a tensor [E, N, ...], or [N, ...], as rows that follow each other. */
function split(file: TensorFile, of: string, rows: readonly Rows[]): [string, Part][] {
  const { shape, begin, end } = file.entry(of);
  const total = rows.reduce((n, r) => n + r.count, 0);
  const lead = shape[0] === total ? 1 : 2;
  if (lead === 2 && (shape[0] ?? 0) * (shape[1] ?? 0) !== total) {
    throw new AoError(
      'ERR_AO_FORMAT',
      `the shape is [${shape}], config.json means ${total} rows of ${rows.length} parts`,
      {
        tensor: of,
        fix: 'use the config.json that belongs to these weights; stacked experts may be plain or quantized row by row',
      },
    );
  }
  const size = (end - begin) / total;
  let at = 0;
  return rows.map(({ name, count }): [string, Part] => {
    const from = at;
    at += count;
    return [name, { of, shape: [count, ...shape.slice(lead)], begin: from * size, end: at * size }];
  });
}

function view(
  file: TensorFile,
  metadata: Readonly<Record<string, string>>,
  parts: ReadonlyMap<string, Part>,
  taken: ReadonlySet<string>,
): TensorFile {
  const of = (name: string): string => parts.get(name)?.of ?? name;
  const offset = (name: string): number => parts.get(name)?.begin ?? 0;
  const readRange: TensorFile['readRange'] = (name, begin, end) =>
    file.readRange(of(name), offset(name) + begin, offset(name) + end);
  const entry: TensorFile['entry'] = (name) => {
    const whole = file.entry(of(name));
    const part = parts.get(name);
    if (!part) return whole;
    return { ...whole, shape: part.shape, begin: whole.begin + part.begin, end: whole.begin + part.end };
  };
  return {
    name: file.name,
    metadata,
    names: [...file.names.filter((name) => !taken.has(name)), ...parts.keys()],
    has: (name) => parts.has(name) || (file.has(name) && !taken.has(name)),
    entry,
    read: (name) => readRange(name, 0, entry(name).end - entry(name).begin),
    readRange,
    locate(name) {
      const { source, offset: at } = file.locate(of(name));
      return { source, offset: at + offset(name) };
    },
  };
}
