// A backend of its own for each test, and float32 in and out of it.
import { afterEach } from 'vitest';
import type { CpuBuffer } from '../src/allocator.ts';
import type { CpuBackend } from '../src/backend.ts';
import { type CpuOptions, openBackend } from '../src/open.ts';
import type { StreamOptions } from '../src/stream.ts';

export const F32 = 0;
/** No dtype: every kernel refuses it. */
export const BAD_DTYPE = 99;

const open: CpuBackend[] = [];
afterEach(async () => {
  for (const backend of open.splice(0)) await backend.close();
});

export function backendFor(options: CpuOptions = {}, told?: Pick<StreamOptions, 'site' | 'onFailure'>): CpuBackend {
  const backend = openBackend(options, told);
  open.push(backend);
  return backend;
}

export function floats(backend: CpuBackend, values: ArrayLike<number>): CpuBuffer {
  const data = Float32Array.from(values);
  const buffer = backend.alloc(data.byteLength);
  backend.write(buffer, 0, new Uint8Array(data.buffer));
  return buffer;
}

export async function values(backend: CpuBackend, buffer: CpuBuffer): Promise<number[]> {
  return [...new Float32Array((await backend.read(buffer, 0, buffer.nbytes)).buffer)];
}

/** out = x, element by element, through a kernel that takes out as INOUT. */
export function copyKernel(backend: CpuBackend, out: CpuBuffer, x: CpuBuffer): void {
  const n = x.nbytes / 4;
  backend.calls.copy_strided(out.ptr, x.ptr, F32, F32, 1, [n], [1], [1]);
}

/** Keeps the thread busy for a while: `times` passes over `buffer`. */
export function busy(backend: CpuBackend, buffer: CpuBuffer, times: number): void {
  for (let i = 0; i < times; i++) backend.calls.fill(buffer.ptr, buffer.nbytes / 4, F32, i);
}
