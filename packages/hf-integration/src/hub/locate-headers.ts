// locateHeaders(name): a model's folder with all but its weights, and its tensors by name, shape and place: from the folder where
// they are there, else by range reads of their headers over HTTP.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AoError, parseSafetensorsIndex } from '@ao/core';
import type { WeightFiles } from '../files/checkpoint.ts';
import type { FileSource } from '../files/node-file.ts';
import { bytesOf } from './body.ts';
import type { Hub } from './hub.ts';
import { inParallel } from './in-parallel.ts';
import type { HubFile } from './listing.ts';
import { INDEX, weightFiles } from './needed-files.ts';
import type { HubOptions } from './options.ts';
import { NoAnswer, request, retrying } from './request.ts';
import { locate, type Resolved } from './resolve-model.ts';
import { fileUrl } from './transfer.ts';

export interface Headers {
  readonly folder: string;
  /** For openCheckpoint; undefined = the folder's own. */
  readonly files: WeightFiles | undefined;
}

export async function locateHeaders(name: string, options: HubOptions): Promise<Headers> {
  const { folder, remote } = await locate(name, options, { purpose: 'headers' });
  return { folder, files: remote && (await remoteFiles(folder, remote)) };
}

/** undefined where the weights are there already. */
async function remoteFiles(
  folder: string,
  { hub, snapshot, subfolder }: NonNullable<Resolved['remote']>,
): Promise<WeightFiles | undefined> {
  const { commit, listing } = snapshot;
  if (!listing) return undefined;
  const start = subfolder === '' ? '' : `${subfolder}/`;
  const inside = [...listing.keys()].filter((path) => path.startsWith(start)).map((path) => path.slice(start.length));
  const index = async (): Promise<readonly string[]> =>
    parseSafetensorsIndex(await readFile(join(folder, INDEX), 'utf8'), INDEX).files;
  const files = await weightFiles(inside, index, hub.repo);
  if (files.every((file) => existsSync(join(folder, file)))) return undefined;
  const sources = new Map<string, FileSource>();
  await inParallel(files, AT_ONCE, async (file) => {
    const listed = listing.get(start + file);
    if (listed) sources.set(file, await headSource(hub, commit, listed));
  });
  const open = async (file: string): Promise<FileSource> => {
    const found = sources.get(file);
    if (found) return found;
    throw new AoError('ERR_AO_FORMAT', `${hub.repo} has no ${file}, which its index names`, { fix: 'tell its author' });
  };
  return { has: (file) => sources.has(file), open };
}

const AT_ONCE = 8;
/** Most headers are shorter: one request a file. */
const FIRST = 1 << 17;

/** A file of the hub whose first bytes are read ahead. */
async function headSource(hub: Hub, commit: string, file: HubFile): Promise<FileSource> {
  const name = file.path;
  const read = (offset: number, length: number): Promise<Uint8Array> => readRange(hub, commit, file, offset, length);
  const first = await read(0, Math.min(FIRST, file.size));
  return {
    name,
    size: file.size,
    read: async (offset, length) =>
      offset + length <= first.length ? first.slice(offset, offset + length) : read(offset, length),
    close: async () => {},
  };
}

async function readRange(hub: Hub, commit: string, file: HubFile, offset: number, length: number): Promise<Uint8Array> {
  const ask = async (): Promise<Uint8Array> => {
    const response = await request(hub, fileUrl(hub, commit, file), {
      path: file.path,
      headers: { 'accept-encoding': 'identity', range: `bytes=${offset}-${offset + length - 1}` },
    });
    const bytes = new Uint8Array(length);
    // a server that ignores Range sends all: what comes before is skipped, and the rest is not read
    let at = response.status === 206 ? 0 : -offset;
    for await (const piece of bytesOf(hub, response)) {
      const from = Math.max(0, -at);
      const to = Math.max(0, at);
      if (from < piece.length) bytes.set(piece.subarray(from, from + length - to), to);
      at += piece.length;
      if (at >= length) return bytes;
    }
    throw new Error(`only ${Math.max(0, at)} of ${length} bytes came`);
  };
  return retrying(hub, file.path, ask).catch((error: unknown) => {
    throw error instanceof NoAnswer ? error.cause : error;
  });
}
