// readTensor(file, name): one tensor of a checkpoint on a device, read in pieces so that its bytes are never twice in the
// heap of JavaScript.
import { type Dense, dtypeBySafetensors, empty, type Runtime, type TensorFile } from '@ao/core';

/** Bytes a read; what JavaScript holds of a tensor at any time. */
export const PIECE = 4 << 20;

export interface ReadOptions {
  readonly device: string;
  readonly signal?: AbortSignal | undefined;
}

export async function readTensor(rt: Runtime, file: TensorFile, name: string, options: ReadOptions): Promise<Dense> {
  const entry = file.entry(name);
  const dtype = dtypeBySafetensors(entry.dtype);
  const t = empty(rt, entry.shape, { dtype, device: options.device });
  try {
    const { backend, buffer } = t.storage;
    for (let at = 0, size = entry.end - entry.begin; at < size; at += PIECE) {
      options.signal?.throwIfAborted();
      const piece = await file.readRange(name, at, Math.min(at + PIECE, size));
      backend.write(buffer, at, piece);
      if (size > PIECE) await backend.sync();
      release(piece);
    }
    return t;
  } catch (error) {
    t.dispose();
    throw error;
  }
}

/** Gives a large array's memory back now, not at the next garbage collection, which does not know how large it is. */
export function release(bytes: Uint8Array): void {
  if (bytes.byteLength < PIECE / 4) return;
  const buffer = bytes.buffer as ArrayBuffer & { transfer?(length: number): ArrayBuffer };
  buffer.transfer?.(0);
}
