// Partial files of a blob, beside it in blobs/:
//   <etag>.<host>-<pid>-<n>.incomplete   being written, by this process alone
//   <etag>.parked.incomplete             left by a download that failed or was interrupted, for the next one to go on with
// A download takes one over by renaming it to a name of its own: of two that try, one gets it. What a process wrote that is
// no more (same host, no such pid) can be taken too. So no two ever write one file, without locks.
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

export interface PartialFile {
  readonly path: string;
  readonly handle: FileHandle;
  /** Bytes that it has. */
  readonly size: number;
}

const HOST = /*@__PURE__*/ createHash('sha1').update(/*@__PURE__*/ hostname()).digest('hex').slice(0, 8);
const END = '.incomplete';

let count = 0;

/** The largest partial file that may be taken over, open for reading and writing; else a new one. */
export async function takePartial(blob: string, most: number): Promise<PartialFile> {
  await mkdir(dirname(blob), { recursive: true });
  const path = `${blob}.${HOST}-${process.pid}-${++count}${END}`;
  for (const left of await abandoned(blob)) {
    try {
      await rename(left, path);
    } catch {
      continue; // another download was faster
    }
    const handle = await open(path, 'r+');
    const { size } = await handle.stat();
    if (size > 0 && size <= most) return { path, handle, size };
    await handle.close();
    await rm(path, { force: true });
  }
  return { path, handle: await open(path, 'wx+'), size: 0 };
}

export async function park(blob: string, { path, handle }: PartialFile): Promise<void> {
  const { size } = await handle.stat();
  await handle.close();
  if (size === 0) await rm(path, { force: true });
  else await rename(path, `${blob}.parked${END}`);
}

/** Removes what nobody goes on with, once the blob is there. */
export async function sweep(blob: string): Promise<void> {
  for (const left of await abandoned(blob)) await rm(left, { force: true });
}

async function abandoned(blob: string): Promise<string[]> {
  const names = await readdir(dirname(blob)).catch(() => []);
  const start = `${basename(blob)}.`;
  return names
    .filter((name) => name.startsWith(start) && name.endsWith(END) && isAbandoned(name.slice(start.length)))
    .map((name) => join(dirname(blob), name));
}

function isAbandoned(name: string): boolean {
  if (name === `parked${END}`) return true;
  const [host, pid] = name.split(/[-.]/);
  return host === HOST && Number(pid) !== process.pid && !isAlive(Number(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
