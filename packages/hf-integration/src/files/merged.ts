// merged(name, files, map): several files as one, each tensor in the file that an index says.
import { AoError, type TensorFile } from '@ao/core';

export function merged(
  name: string,
  files: ReadonlyMap<string, TensorFile>,
  map: ReadonlyMap<string, string>,
): TensorFile {
  for (const [tensor, file] of map) {
    if (files.get(file)?.has(tensor)) continue;
    throw new AoError('ERR_AO_FORMAT', `${file} lacks this tensor, which ${name} puts there`, {
      tensor,
      fix: 'fetch the files again',
    });
  }
  const names = [...files.values()].flatMap((file) => [...file.names]);
  const owner = new Map([...files.values()].flatMap((file) => file.names.map((tensor) => [tensor, file] as const)));
  const of = (tensor: string): TensorFile => owner.get(tensor) ?? files.values().next().value!;
  return {
    name,
    metadata: Object.assign({}, ...[...files.values()].map((file) => file.metadata)),
    names,
    has: (tensor) => owner.has(tensor),
    entry: (tensor) => of(tensor).entry(tensor),
    read: (tensor) => of(tensor).read(tensor),
    readRange: (tensor, begin, end) => of(tensor).readRange(tensor, begin, end),
    locate: (tensor) => of(tensor).locate(tensor),
  };
}
