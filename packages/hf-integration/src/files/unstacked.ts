// unstacked(file, outline): the file as its model names things, where it holds several parameters in one tensor (experts
// [E, N, K] whose rows follow each other) or one under another name. Nothing is read: a part is a range of bytes.
import { AoError, numel, type TensorFile } from '@ao/core';
import type { Outline } from '../models/family.ts';

interface Part {
  /** The tensor of the file. */
  readonly of: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export function unstacked(file: TensorFile, outline: Outline): TensorFile {
  const parts = new Map<string, Part>();
  const taken = new Set<string>();
  const shapes = new Map(outline.parameters.map((p) => [p.name, p.shape]));
  for (const [of, names] of Object.entries(outline.stacked ?? {})) {
    if (!file.has(of)) continue;
    taken.add(of);
    for (const [name, part] of partsOf(file, of, names, shapes)) parts.set(name, part);
  }
  if (taken.size === 0) return file;
  const names = file.names.filter((name) => !taken.has(name));
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
    metadata: file.metadata,
    names: [...names, ...parts.keys()],
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

function partsOf(
  file: TensorFile,
  of: string,
  names: readonly string[],
  shapes: ReadonlyMap<string, readonly number[]>,
): [string, Part][] {
  const { shape, begin, end } = file.entry(of);
  const wanted = names.reduce((n, name) => n + numel(shapes.get(name)!), 0);
  if (numel(shape) !== wanted) {
    throw new AoError(
      'ERR_AO_FORMAT',
      `the shape is [${shape}], config.json means ${names.length} parts of ${wanted} values`,
      {
        tensor: of,
        fix: 'use the config.json that belongs to these weights',
      },
    );
  }
  const size = (end - begin) / wanted;
  let at = 0;
  return names.map((name): [string, Part] => {
    const own = shapes.get(name)!;
    const from = at;
    at += numel(own) * size;
    return [name, { of, shape: own, begin: from, end: at }];
  });
}
