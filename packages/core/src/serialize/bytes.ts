/** Where bytes come from and go to. Core has no files: packages that have implement these two over theirs. */
import { AoError } from '../errors.ts';

export interface ByteSource {
  /** For messages: a file name. */
  readonly name: string;
  readonly size: number;
  /** The open file behind it, for backends that read files themselves. */
  readonly fd?: number;
  /** Exactly `length` bytes from `offset`; the caller may keep the array, the source does not write it again. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

export interface ByteSink {
  /** For messages: a file name. */
  readonly name: string;
  /** Appends; the bytes may be reused once the promise has resolved. */
  write(bytes: Uint8Array): Promise<void>;
  /** Makes the whole result visible under its name, at once. */
  close(): Promise<void>;
  /** Leaves nothing behind. */
  abort(): Promise<void>;
}

/** Bytes in memory as a source. */
export function bytesSource(bytes: Uint8Array, name = 'bytes'): ByteSource {
  return { name, size: bytes.byteLength, read: async (offset, length) => bytes.slice(offset, offset + length) };
}

/** A sink that keeps what was written; `bytes()` is empty until close. */
export function bytesSink(name = 'bytes'): ByteSink & { bytes(): Uint8Array } {
  let chunks: Uint8Array[] = [];
  let result = new Uint8Array(0);
  return {
    name,
    write: async (bytes) => {
      chunks.push(bytes.slice());
    },
    close: async () => {
      result = new Uint8Array(chunks.reduce((n, c) => n + c.byteLength, 0));
      let at = 0;
      for (const chunk of chunks) {
        result.set(chunk, at);
        at += chunk.byteLength;
      }
      chunks = [];
    },
    abort: async () => {
      chunks = [];
    },
    bytes: () => result,
  };
}

/** source.read, with a short answer turned into an error. */
export async function readExactly(
  source: ByteSource,
  offset: number,
  length: number,
  what: string,
): Promise<Uint8Array> {
  const bytes = await source.read(offset, length);
  if (bytes.byteLength === length) return bytes;
  throw new AoError(
    'ERR_AO_FORMAT',
    `${source.name}: ${what} has ${bytes.byteLength} of ${length} bytes at offset ${offset}`,
    { fix: 'the file was cut short or changed while it was read: fetch or write it again' },
  );
}
