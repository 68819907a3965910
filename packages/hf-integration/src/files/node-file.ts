// Files of this machine as core's ByteSource and ByteSink: bounded positional reads (no memory map, no whole file), and
// writes that appear under their name all at once or not at all.
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AoError, type ByteSink, type ByteSource } from '@ao/core';

export interface FileSource extends ByteSource {
  close(): Promise<void>;
}

export interface FileSink extends ByteSink {
  /** Writes at a position of its own; what is never written reads as zeros. */
  writeAt(offset: number, bytes: Uint8Array): Promise<void>;
}

/** A system call's limit lies at 2 GiB. */
const MAX_READ = 1 << 30;

export async function openFile(path: string): Promise<FileSource> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    throw new AoError('ERR_AO_FORMAT', `${path} cannot be opened: ${(error as Error).message}`, {
      fix: 'check the path and the permissions',
      cause: error,
    });
  }
  const { size } = await handle.stat();
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await handle.read(bytes, done, Math.min(length - done, MAX_READ), offset + done);
      if (bytesRead === 0) return bytes.subarray(0, done);
      done += bytesRead;
    }
    return bytes;
  };
  return { name: basename(path), size, fd: handle.fd, read, close: () => handle.close() };
}

let sinks = 0;

/** Writes beside the final name and renames on close, after the bytes have reached the disk. */
export async function createFile(path: string): Promise<FileSink> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${++sinks}.tmp`);
  const handle = await open(temporary, 'wx');
  let end = 0;
  let open_ = true;
  const writeAt = async (offset: number, bytes: Uint8Array): Promise<void> => {
    let done = 0;
    while (done < bytes.byteLength) {
      const { bytesWritten } = await handle.write(bytes, done, bytes.byteLength - done, offset + done);
      done += bytesWritten;
    }
  };
  const finish = async (): Promise<void> => {
    if (!open_) return;
    open_ = false;
    await handle.close();
  };
  return {
    name: basename(path),
    writeAt,
    write: async (bytes) => {
      await writeAt(end, bytes);
      end += bytes.byteLength;
    },
    close: async () => {
      await handle.sync();
      await finish();
      await rename(temporary, path);
    },
    abort: async () => {
      await finish();
      await rm(temporary, { force: true });
    },
  };
}

/** The whole text, atomically. */
export async function writeText(path: string, text: string): Promise<void> {
  const sink = await createFile(path);
  try {
    await sink.write(new TextEncoder().encode(text));
    await sink.close();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}
