// aliased(file, sources): a checkpoint that has some of its tensors under further names: { 'lm_head.weight': 'model.embed_tokens.weight' }.
import type { TensorFile } from '@ao/core';

export function aliased(file: TensorFile, sources: Readonly<Record<string, string>>): TensorFile {
  if (Object.keys(sources).length === 0) return file;
  const of = (name: string): string => sources[name] ?? name;
  return {
    name: file.name,
    metadata: file.metadata,
    names: [...new Set([...file.names, ...Object.keys(sources)])],
    has: (name) => file.has(of(name)),
    entry: (name) => file.entry(of(name)),
    read: (name) => file.read(of(name)),
    readRange: (name, begin, end) => file.readRange(of(name), begin, end),
    locate: (name) => file.locate(of(name)),
  };
}
