// The files of a repository at a commit: path, size, and the hash that its contents must have. A commit never changes, so its
// listing is kept beside the cache, where huggingface_hub keeps it too.
import { readFile } from 'node:fs/promises';
import { AoError } from '@ao/core';
import type { Hub } from './hub.ts';
import { type RepoCache, writeCached } from './layout.ts';
import { isCommit, isInside } from './repo-id.ts';
import { request } from './request.ts';

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
  const { sha } = await modelInfo({
    name: hub.repo,
    revision: hub.revision,
    additionalFields: ['sha'],
    hubUrl: hub.endpoint,
    fetch: fetchOf(hub),
  });
  if (isCommit(sha ?? '')) return sha;
  throw notAHub(hub, `commit '${sha}'`);
}

/** From the cache, else from the hub; then the cache has it too. */
export async function listRepository(hub: Hub, cache: RepoCache, commit: string): Promise<Listing> {
  const kept = await cachedListing(cache, commit);
  if (kept) return kept;
  const { listFiles } = await import('@huggingface/hub');
  const files: Record<string, TreeFile> = {};
  for await (const { type, path, size, oid = '', lfs, xetHash } of listFiles({
    repo: { type: 'model', name: hub.repo },
    revision: commit,
    recursive: true,
    hubUrl: hub.endpoint,
    fetch: fetchOf(hub),
  })) {
    if (type !== 'file') continue;
    files[path] = {
      size,
      blob_id: oid,
      ...(lfs && { lfs_sha256: lfs.oid, lfs_size: lfs.size }),
      ...(xetHash !== undefined && { xet_hash: xetHash }),
    };
  }
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

function fetchOf(hub: Hub): typeof fetch {
  return (input, init) =>
    request(hub, String(input), {
      method: init?.method ?? 'GET',
      headers: Object.fromEntries(new Headers(init?.headers)),
    });
}

function notAHub(hub: Hub, what: string): AoError {
  return new AoError('ERR_AO_FORMAT', `${hub.endpoint} gave no usable ${what} for ${hub.repo}`, {
    fix: 'check that HF_ENDPOINT is a Hugging Face hub',
  });
}
