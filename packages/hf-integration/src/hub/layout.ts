// The cache as huggingface_hub lays it out, so that Python and ao share every file:
//   models--org--name/refs/<revision>             the commit that a branch or tag last meant
//   models--org--name/blobs/<etag>                contents; the etag is the sha256 of an LFS file, else git's sha1
//   models--org--name/snapshots/<commit>/<path>   relative links to the blobs
//   models--org--name/trees/<commit>.json         the listing of a commit
import { copyFile, mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { HubFile } from './listing.ts';
import { isCommit } from './repo-id.ts';

export interface RepoCache {
  readonly folder: string;
  readonly blobs: string;
  readonly blob: (file: HubFile) => string;
  readonly snapshot: (commit: string) => string;
  readonly ref: (revision: string) => string;
  readonly tree: (commit: string) => string;
}

export function repoCache(cache: string, repo: string): RepoCache {
  const folder = join(cache, ['models', ...repo.split('/')].join('--'));
  const blobs = join(folder, 'blobs');
  return {
    folder,
    blobs,
    blob: (file) => join(blobs, file.etag),
    snapshot: (commit) => join(folder, 'snapshots', commit),
    ref: (revision) => join(folder, 'refs', ...revision.split('/')),
    tree: (commit) => join(folder, 'trees', `${commit}.json`),
  };
}

/** Bytes of the file, links followed; undefined where there is none. */
export async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.size;
}

/** The commit that the cache has for a revision. */
export async function cachedCommit(cache: RepoCache, revision: string): Promise<string | undefined> {
  if (isCommit(revision)) return revision;
  const text = await readFile(cache.ref(revision), 'utf8').catch(() => '');
  return isCommit(text.trim()) ? text.trim() : undefined;
}

let temporaries = 0;

/** A name in blobs that no other process or call uses: nothing that reads refs or snapshots ever sees it. */
const temporary = (cache: RepoCache): string => join(cache.blobs, `tmp.${process.pid}.${++temporaries}.incomplete`);

async function replace(cache: RepoCache, path: string, make: (temporary: string) => Promise<void>): Promise<void> {
  await mkdir(cache.blobs, { recursive: true });
  await mkdir(dirname(path), { recursive: true });
  const made = temporary(cache);
  try {
    await make(made);
    await rename(made, path);
  } finally {
    await rm(made, { force: true });
  }
}

export async function writeCached(cache: RepoCache, path: string, text: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return;
  await replace(cache, path, (made) => writeFile(made, text));
}

/** snapshots/<commit>/<path> as a relative link to its blob; a copy where the system has no links. */
export async function link(cache: RepoCache, commit: string, file: HubFile): Promise<void> {
  const path = join(cache.snapshot(commit), ...file.path.split('/'));
  if ((await sizeOf(path)) === file.size) return;
  const blob = cache.blob(file);
  await replace(cache, path, async (made) => {
    try {
      await symlink(relative(dirname(path), blob), made);
    } catch {
      await copyFile(blob, made);
    }
  });
}
