// readTensor(file, name): one tensor of a checkpoint on a device. A backend that reads files itself does so in stream order,
// behind JavaScript; elsewhere the bytes come in pieces, so that they are never twice in the heap of JavaScript.
import { type Dense, dtypeBySafetensors, empty, type Runtime, type TensorFile } from '@ao/core';
import type { PendingReads } from './pending-reads.ts';

/** Bytes a read; what JavaScript holds of a tensor at any time. */
export const PIECE = 4 << 20;

export interface ReadOptions {
  readonly device: string;
  readonly signal?: AbortSignal | undefined;
  /** Takes reads that are under way; without it readTensor resolves when the bytes are there. */
  readonly pending?: PendingReads;
}

export async function readTensor(rt: Runtime, file: TensorFile, name: string, options: ReadOptions): Promise<Dense> {
  const entry = file.entry(name);
  const dtype = dtypeBySafetensors(entry.dtype);
  const t = empty(rt, entry.shape, { dtype, device: options.device });
  const { backend, buffer } = t.storage;
  const size = sizeOf(file, name);
  const { source, offset } = file.locate(name);
  try {
    options.signal?.throwIfAborted();
    if (backend.readFileInto === undefined || source.fd === undefined || size === 0) {
      await readPieces(file, name, t, options.signal);
      return t;
    }
    const done = backend.readFileInto(buffer, 0, size, source.fd, offset);
    if (options.pending === undefined) await done;
    else await options.pending.add(done, size);
    return t;
  } catch (error) {
    t.dispose();
    throw error;
  }
}

/** Bytes of a tensor in a file. */
export function sizeOf(file: TensorFile, name: string): number {
  const { begin, end } = file.entry(name);
  return end - begin;
}

/** Its bytes as they are, in pieces. */
export async function* piecesOf(file: TensorFile, name: string): AsyncGenerator<Uint8Array> {
  for (let at = 0, size = sizeOf(file, name); at < size; at += PIECE) {
    yield await file.readRange(name, at, Math.min(at + PIECE, size));
  }
}

async function readPieces(file: TensorFile, name: string, t: Dense, signal: AbortSignal | undefined): Promise<void> {
  const { backend, buffer, nbytes: size } = t.storage;
  for (let at = 0; at < size; at += PIECE) {
    signal?.throwIfAborted();
    const piece = await file.readRange(name, at, Math.min(at + PIECE, size));
    backend.write(buffer, at, piece);
    if (size > PIECE) await backend.sync();
    release(piece);
  }
}

/** Gives a large array's memory back now, not at the next garbage collection, which does not know how large it is. */
export function release(bytes: Uint8Array): void {
  if (bytes.byteLength < PIECE / 4) return;
  const buffer = bytes.buffer as ArrayBuffer & { transfer?(length: number): ArrayBuffer };
  buffer.transfer?.(0);
}
