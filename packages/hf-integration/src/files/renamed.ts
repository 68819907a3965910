// renamed(file, { rename }): a checkpoint under other names: each tensor of the file by the name that its model has for it.
import type { TensorFile } from '@ao/core';
import type { Outline } from '../models/family.ts';

export function renamed(file: TensorFile, { rename }: Outline): TensorFile {
  if (rename === undefined) return file;
  const own = new Map(file.names.map((name) => [rename(name), name]));
  const of = (name: string): string => own.get(name) ?? name;
  return {
    name: file.name,
    metadata: Object.fromEntries(Object.entries(file.metadata).map(([name, text]) => [rename(name), text])),
    names: [...own.keys()],
    has: (name) => own.has(name),
    entry: (name) => file.entry(of(name)),
    read: (name) => file.read(of(name)),
    readRange: (name, begin, end) => file.readRange(of(name), begin, end),
    locate: (name) => file.locate(of(name)),
  };
}
