// writeShards(folder, stored, read): the tensors of a model as safetensors, one file or several with an index, each of at most
// maxShardSize bytes where its largest tensor allows; bytes are asked for in the order of the files and pass through.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { planShards, type SafetensorsItem, safetensorsHeader, safetensorsIndex, writeSafetensors } from '@ao/core';
import type { OnProgress } from '../progress.ts';
import { createFile, writeText } from './node-file.ts';
import { fileMetadata, ownersOf, type Storing } from './stored.ts';

export interface ShardOptions {
  /** Bytes; default 5 GB, as in transformers. */
  readonly maxShardSize?: number | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Files that are there, which an earlier run wrote from the same tensors, stay. */
  readonly resume?: boolean | undefined;
}

const SHARD = 5_000_000_000;

/** `read` gives the bytes of the item `key` of the tensor `name`; returns the names of the files. */
export async function writeShards(
  folder: string,
  stored: ReadonlyMap<string, Storing>,
  read: (key: string, name: string) => AsyncIterable<Uint8Array>,
  { maxShardSize = SHARD, onProgress, signal, resume = false }: ShardOptions,
): Promise<readonly string[]> {
  const owner = ownersOf(stored);
  const shards = planShards<SafetensorsItem>(
    [...stored.values()].flatMap((s) => s.items),
    maxShardSize,
  );
  const total = shards.reduce((n, s) => n + s.nbytes, 0);
  let loaded = 0;
  const bytes = async function* (key: string): AsyncGenerator<Uint8Array> {
    const name = owner.get(key)!;
    for await (const piece of read(key, name)) {
      yield piece;
      loaded += piece.byteLength;
      onProgress?.({ phase: 'save', name, loaded, total });
    }
  };
  for (const { file, items, nbytes } of shards) {
    const path = join(folder, file);
    const metadata = fileMetadata(items, owner, stored);
    const size = resume ? (await stat(path).catch(() => undefined))?.size : undefined;
    if (size !== undefined && size === safetensorsHeader(items, metadata).size) {
      loaded += nbytes;
      continue;
    }
    await writeSafetensors(await createFile(path), items, ({ name }) => bytes(name), {
      metadata,
      ...(signal === undefined ? {} : { signal }),
    });
  }
  if (shards.length > 1) await writeText(join(folder, 'model.safetensors.index.json'), safetensorsIndex(shards));
  return shards.map((s) => s.file);
}
