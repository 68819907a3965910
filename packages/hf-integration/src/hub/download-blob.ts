// downloadBlob(): one file into blobs/, whole and checked, or not at all. It goes on where an earlier attempt or process ended;
// what is complete must have the hash that the hub lists (sha256 of an LFS file, git's sha1 of "blob <size>\0" + bytes of a
// small one) before it gets its name. What fails the check is thrown away and fetched once more from its start.
import { createHash, type Hash } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { AoError } from '@ao/core';
import type { Hub } from './hub.ts';
import { sizeOf } from './layout.ts';
import type { HubFile } from './listing.ts';
import { type PartialFile, park, sweep, takePartial } from './partial.ts';
import { unreachable } from './refusal.ts';
import { NoAnswer, pause } from './request.ts';
import { transfer } from './transfer.ts';

/** Told how many bytes more of the file are there, below 0 where some were thrown away; `fresh`: they came just now. */
export type Count = (bytes: number, fresh: boolean) => void;

const running = new Map<string, Promise<void>>();

export async function downloadBlob(hub: Hub, commit: string, file: HubFile, blob: string, count: Count): Promise<void> {
  // two calls in one process: the second waits, and does it itself where the first failed
  for (let other = running.get(blob); other; other = running.get(blob)) await other.catch(() => {});
  // nothing may come between that look and this entry
  const work = download(hub, commit, file, blob, count);
  running.set(blob, work);
  try {
    await work;
  } finally {
    running.delete(blob);
  }
}

async function download(hub: Hub, commit: string, file: HubFile, blob: string, count: Count): Promise<void> {
  hub.signal?.throwIfAborted();
  if ((await sizeOf(blob)) === file.size) return count(file.size, false);
  const partial = await takePartial(blob, file.size);
  const target = new Target(file, partial, count);
  try {
    await target.readBack(hub.signal);
    await fill(hub, commit, target);
    await partial.handle.sync();
    await partial.handle.close();
    await rename(partial.path, blob);
  } catch (error) {
    if (target.broken) await partial.handle.close().then(() => rm(partial.path, { force: true }));
    // where that fails too, the first failure says more
    else await park(blob, partial).catch(() => {});
    count(-target.size, false);
    throw error;
  }
  await sweep(blob);
}

async function fill(hub: Hub, commit: string, target: Target): Promise<void> {
  const { file } = target;
  // how often a complete file may be wrong: once on the way, and once because of what was there before
  let chances = target.size > 0 ? 2 : 1;
  let best = target.size;
  for (let attempt = 0, xet = true; ; xet = false) {
    let failure: unknown;
    try {
      const { from, bytes } = await transfer(hub, commit, file, target.size, xet);
      if (from !== target.size) await target.restart();
      for await (const piece of bytes) await target.write(piece);
    } catch (error) {
      hub.signal?.throwIfAborted();
      if (ofThisMachine(error)) throw unwritable(hub, file, error as Error);
      failure = error;
    }
    if (target.size === file.size) {
      if (target.isRight()) return;
      if (chances-- === 0) throw target.mismatch(hub);
      await target.restart();
      best = 0;
      continue;
    }
    // XET storage is one way of two
    if (xet && file.xet !== undefined && hub.xet) continue;
    if (failure instanceof AoError) throw failure;
    if (failure instanceof NoAnswer) throw failure.cause;
    attempt = target.size > best ? 0 : attempt + 1;
    best = Math.max(best, target.size);
    if (attempt > hub.retries) {
      throw unreachable(hub, file.path, failure ?? new Error(`only ${best} of ${file.size} bytes came`));
    }
    await pause(hub, attempt);
  }
}

const FAILURES_OF_A_DISK = new Set(['ENOSPC', 'EACCES', 'EPERM', 'EROFS', 'EDQUOT', 'EIO', 'ENOENT', 'EBADF']);

function ofThisMachine(error: unknown): boolean {
  return FAILURES_OF_A_DISK.has((error as NodeJS.ErrnoException).code ?? '');
}

function unwritable({ cache }: Hub, { path }: HubFile, cause: Error): AoError {
  return new AoError('ERR_AO_CONFIG', `${path} cannot be written to ${cache}: ${cause.message}`, {
    fix: 'free space there, or set HF_HOME to a folder that has it',
    cause,
  });
}

/** A partial file with the hash of what it has. */
class Target {
  readonly file: HubFile;
  size = 0;
  /** What it has is known to be wrong. */
  broken = false;
  readonly #partial: PartialFile;
  readonly #count: Count;
  #hash: Hash;

  constructor(file: HubFile, partial: PartialFile, count: Count) {
    this.file = file;
    this.#partial = partial;
    this.#count = count;
    this.#hash = hashOf(file);
  }

  /** Hashes what an earlier download left. */
  async readBack(signal: AbortSignal | undefined): Promise<void> {
    const { handle, size } = this.#partial;
    const buffer = Buffer.alloc(1 << 20);
    while (this.size < size) {
      signal?.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, this.size);
      if (bytesRead === 0) break;
      this.#add(buffer.subarray(0, bytesRead), false);
    }
  }

  async write(piece: Uint8Array): Promise<void> {
    const { handle } = this.#partial;
    // a server that sends more than it listed: the hash will not fit
    const bytes = piece.subarray(0, this.file.size - this.size);
    for (let done = 0; done < bytes.length; ) {
      done += (await handle.write(bytes, done, bytes.length - done, this.size + done)).bytesWritten;
    }
    this.#add(bytes, true);
  }

  #add(bytes: Uint8Array, fresh: boolean): void {
    this.#hash.update(bytes);
    this.size += bytes.length;
    this.#count(bytes.length, fresh);
  }

  async restart(): Promise<void> {
    await this.#partial.handle.truncate(0);
    this.#count(-this.size, false);
    this.size = 0;
    this.#hash = hashOf(this.file);
    this.broken = false;
  }

  isRight(): boolean {
    this.broken = this.#hash.digest('hex') !== this.file.etag;
    return !this.broken;
  }

  mismatch({ endpoint, repo }: Hub): AoError {
    const { path, lfs, etag } = this.file;
    return new AoError(
      'ERR_AO_FORMAT',
      `${path} of ${repo} came damaged from ${endpoint}: its ${lfs ? 'sha256' : 'git sha1'} is not the listed ${etag}`,
      {
        fix: 'try again; if it stays so, what HF_ENDPOINT names serves a broken file',
      },
    );
  }
}

function hashOf({ lfs, size }: HubFile): Hash {
  return lfs ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}
