// The files of a repository at a commit: path, size, and the hash that its contents must have. A commit never changes, so its
// listing is kept beside the cache, where huggingface_hub keeps it too.
import { readFile } from 'node:fs/promises';
import { AoError, isAoError } from '@ao/core';
import { bytesOf } from './body.ts';
import type { Hub } from './hub.ts';
import { type RepoCache, writeCached } from './layout.ts';
import { isCommit, isInside } from './repo-id.ts';
import { NoAnswer, request, retrying } from './request.ts';

export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** Name of its blob: the sha256 of an LFS file, else git's sha1. */
  readonly etag: string;
  readonly lfs: boolean;
  /** Its hash in XET storage, where it lies there. */
  readonly xet?: string;
}

export type Listing = ReadonlyMap<string, HubFile>;

/** huggingface_hub's trees/<commit>.json. */
interface Tree {
  readonly format_version: number;
  readonly files: Readonly<Record<string, TreeFile>>;
}

interface TreeFile {
  readonly size: number;
  readonly blob_id: string;
  readonly lfs_sha256?: string;
  readonly lfs_size?: number;
  readonly xet_hash?: string;
}

export async function resolveCommit(hub: Hub): Promise<string> {
  if (isCommit(hub.revision)) return hub.revision;
  const { modelInfo } = await import('@huggingface/hub');
  return understood(hub, 'answer', async () => {
    const place = { name: hub.repo, revision: hub.revision, hubUrl: hub.endpoint, fetch: fetchOf(hub) };
    const { sha } = await modelInfo({ ...place, additionalFields: ['sha'] });
    if (isCommit(sha)) return sha;
    throw new Error(`its commit is '${sha}'`);
  });
}

/** From the cache, else from the hub; then the cache has it too. */
export async function listRepository(hub: Hub, cache: RepoCache, commit: string): Promise<Listing> {
  const kept = await cachedListing(cache, commit);
  if (kept) return kept;
  const { listFiles } = await import('@huggingface/hub');
  const files = await understood(hub, 'listing', async () => {
    const all: Record<string, TreeFile> = {};
    const place = { repo: { type: 'model', name: hub.repo } as const, revision: commit, hubUrl: hub.endpoint };
    for await (const entry of listFiles({ ...place, recursive: true, fetch: fetchOf(hub) })) {
      const { type, path, size, oid = '', lfs, xetHash } = entry;
      if (type !== 'file') continue;
      all[path] = {
        size,
        blob_id: oid,
        ...(lfs && { lfs_sha256: lfs.oid, lfs_size: lfs.size }),
        ...(xetHash !== undefined && { xet_hash: xetHash }),
      };
    }
    return all;
  });
  const tree: Tree = { format_version: 1, files };
  await writeCached(cache, cache.tree(commit), JSON.stringify(tree, null, 1));
  return listingOf(tree);
}

export async function cachedListing(cache: RepoCache, commit: string): Promise<Listing | undefined> {
  const text = await readFile(cache.tree(commit), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const tree = JSON.parse(text) as Tree;
    return tree.format_version === 1 ? listingOf(tree) : undefined;
  } catch {
    return undefined;
  }
}

/** Leaves out what could lead out of the cache: a path or a hash that is no plain name. */
function listingOf({ files }: Tree): Listing {
  const listing = new Map<string, HubFile>();
  for (const [path, { size, blob_id, lfs_sha256, lfs_size, xet_hash }] of Object.entries(files)) {
    const lfs = lfs_sha256 !== undefined;
    const file = { path, size: lfs_size ?? size, etag: lfs_sha256 ?? blob_id, lfs };
    if (!isInside(path) || !Number.isSafeInteger(file.size) || !(lfs ? SHA256 : SHA1).test(file.etag)) continue;
    listing.set(path, xet_hash === undefined ? file : { ...file, xet: xet_hash });
  }
  return listing;
}

const SHA256 = /^[0-9a-f]{64}$/;
const SHA1 = /^[0-9a-f]{40}$/;

/** Answers of the API are small: read whole, and asked for again where they break off. */
function fetchOf(hub: Hub): typeof fetch {
  return (input, init) =>
    retrying(hub, undefined, async () => {
      const headers = Object.fromEntries(new Headers(init?.headers));
      const response = await request(hub, String(input), { headers });
      const pieces: Uint8Array[] = [];
      for await (const piece of bytesOf(hub, response)) pieces.push(piece);
      return new Response(Buffer.concat(pieces), { status: response.status, headers: response.headers });
    });
}

/** What is no hub's answer makes @huggingface/hub fail in its own ways. */
async function understood<T>(hub: Hub, what: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    hub.signal?.throwIfAborted();
    if (error instanceof NoAnswer || isAoError(error)) throw error;
    const message = `${hub.endpoint} gave no usable ${what} for ${hub.repo}: ${(error as Error).message}`;
    throw new AoError('ERR_AO_FORMAT', message, { fix: 'check that HF_ENDPOINT is a Hugging Face hub', cause: error });
  }
}
