// fetchSnapshot(): a repository's folder in the cache, with the files that are wanted of it: those that it lacks are downloaded,
// several at once, linked into the snapshot of the commit, and the ref is written last, so that it means a whole snapshot.
// Where the hub does not answer, or must not be asked, the cache serves what it has.
import { existsSync } from 'node:fs';
import { mkdir, readFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { AoError, parseSafetensorsIndex } from '@ao/core';
import { downloadBlob } from './download-blob.ts';
import type { Hub } from './hub.ts';
import { inParallel } from './in-parallel.ts';
import { cachedCommit, link, type RepoCache, repoCache, sizeOf, writeCached } from './layout.ts';
import { type HubFile, type Listing, listRepository, resolveCommit } from './listing.ts';
import { Meter } from './meter.ts';
import { essential, INDEX, type Purpose, SINGLE, smallFiles, weightFiles } from './needed-files.ts';
import { filterPaths } from './patterns.ts';
import { isCommit } from './repo-id.ts';
import { NoAnswer } from './request.ts';

export interface Wanted {
  readonly purpose: Purpose;
  /** The model's folder in the repository; '' = its root. */
  readonly subfolder: string;
  /** Instead of what the purpose needs: patterns of paths in the repository. */
  readonly allow?: readonly string[] | undefined;
  readonly ignore?: readonly string[] | undefined;
}

export interface Snapshot {
  /** The snapshot's folder, without subfolder. */
  readonly folder: string;
  readonly commit: string;
  /** Absent where the hub was not asked. */
  readonly listing?: Listing;
}

const AT_ONCE = 4;

export async function fetchSnapshot(hub: Hub, wanted: Wanted): Promise<Snapshot> {
  const cache = repoCache(hub.cache, hub.repo);
  if (hub.offline) return fromCache(hub, cache, wanted);
  let commit: string;
  let listing: Listing;
  try {
    commit = await resolveCommit(hub);
    listing = await listRepository(hub, cache, commit);
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    const found = await fromCache(hub, cache, wanted).catch(() => undefined);
    if (!found) throw error.cause;
    const message = `${error.cause.message.replace(/\.? Fix:.*/, '')}: the cache's ${hub.repo} at ${found.commit.slice(0, 7)} serves`;
    hub.log?.({ level: 'warn', code: 'hub-silent', message });
    return found;
  }
  const place: Place = { hub, cache, commit, folder: cache.snapshot(commit), listing };
  await download(place, await choose(place, wanted));
  if (!isCommit(hub.revision)) await writeCached(cache, cache.ref(hub.revision), commit);
  return place;
}

interface Place extends Snapshot {
  readonly hub: Hub;
  readonly cache: RepoCache;
  readonly listing: Listing;
}

/** Paths in the repository. */
async function choose(place: Place, wanted: Wanted): Promise<string[]> {
  const { hub, listing, folder } = place;
  const { purpose, subfolder, allow, ignore } = wanted;
  if (allow !== undefined) return filterPaths([...listing.keys()], allow, ignore);
  const start = subfolder === '' ? '' : `${subfolder}/`;
  const inside = [...listing.keys()].filter((path) => path.startsWith(start)).map((path) => path.slice(start.length));
  const where = `${hub.repo}${subfolder && `/${subfolder}`} at ${hub.revision}`;
  const files = smallFiles(inside, purpose);
  if (!files.includes(essential(purpose))) {
    throw new AoError('ERR_AO_FORMAT', `${where} has no ${essential(purpose)}`, {
      fix:
        inside.length === 0
          ? 'check the subfolder'
          : 'name a model repository in Hugging Face’s layout, and its subfolder where it has one',
    });
  }
  const index = async (): Promise<readonly string[]> => {
    await download(place, [start + INDEX]);
    return shardsOf(join(folder, start, INDEX));
  };
  const weights = purpose === 'model' ? await weightFiles(inside, index, where) : [];
  return filterPaths(
    [...files, ...weights].map((path) => start + path),
    undefined,
    ignore,
  );
}

async function shardsOf(index: string): Promise<readonly string[]> {
  return parseSafetensorsIndex(await readFile(index, 'utf8'), INDEX).files;
}

async function download({ hub, cache, commit, listing }: Place, paths: readonly string[]): Promise<void> {
  const missing: HubFile[] = [];
  for (const path of paths) {
    const file = listing.get(path);
    if (!file)
      throw new AoError('ERR_AO_FORMAT', `${hub.repo} has no ${path}, which its index names`, {
        fix: 'tell its author',
      });
    const there = await sizeOf(join(cache.snapshot(commit), ...path.split('/')));
    if (there !== file.size) missing.push(file);
  }
  if (missing.length === 0) return;
  await mkdir(cache.blobs, { recursive: true });
  const total = missing.reduce((n, file) => n + file.size, 0);
  await checkSpace(hub, cache, total);
  const meter = hub.onProgress && new Meter(total, hub.onProgress);
  // the longest first, so that none is left alone at the end
  const order = missing.toSorted((a, b) => b.size - a.size);
  await inParallel(order, AT_ONCE, async (file) => {
    hub.signal?.throwIfAborted();
    await downloadBlob(hub, commit, file, cache.blob(file), (bytes, fresh) => meter?.add(file.path, bytes, fresh));
    await link(cache, commit, file);
  });
}

async function checkSpace({ repo }: Hub, { blobs }: RepoCache, wanted: number): Promise<void> {
  const { bavail, bsize } = await statfs(blobs);
  if (bavail * bsize >= wanted) return;
  throw new AoError('ERR_AO_CONFIG', `${repo} needs ${wanted} bytes, ${blobs} has room for ${bavail * bsize}`, {
    fix: 'free space there, or set HF_HOME to a folder that has it',
  });
}

/** What an earlier download left, where it is enough for the purpose. Throws ERR_AO_CONFIG naming the first file that is not there. */
async function fromCache(hub: Hub, cache: RepoCache, { purpose, subfolder, allow }: Wanted): Promise<Snapshot> {
  const commit = await cachedCommit(cache, hub.revision);
  const folder = commit === undefined ? undefined : cache.snapshot(commit);
  const missing =
    folder === undefined ? essential(purpose) : allow ? undefined : await lacks(join(folder, subfolder), purpose);
  if (commit !== undefined && folder !== undefined && missing === undefined && existsSync(folder))
    return { folder, commit };
  const file = missing === undefined ? 'anything' : subfolder === '' ? missing : `${subfolder}/${missing}`;
  throw new AoError(
    'ERR_AO_CONFIG',
    `'${hub.repo}' is no folder here, and with HF_HUB_OFFLINE (or localFilesOnly) only ${hub.cache} is asked, which lacks ${file} of it at ${hub.revision}`,
    {
      fix: `unset HF_HUB_OFFLINE, or run \`ao pull ${hub.repo}\` while the hub can be reached`,
    },
  );
}

async function lacks(folder: string, purpose: Purpose): Promise<string | undefined> {
  const has = (file: string): boolean => existsSync(join(folder, file));
  if (!has(essential(purpose))) return essential(purpose);
  // what 'headers' would ask the hub for
  if ((purpose !== 'model' && purpose !== 'headers') || has(SINGLE)) return undefined;
  if (!has(INDEX)) return SINGLE;
  return (await shardsOf(join(folder, INDEX))).find((file) => !has(file));
}
