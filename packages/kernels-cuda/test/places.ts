// Where tests of the cuda device can run: the GPU of this machine, and the emulator of its kernels. What is not there is a reason to skip,
// which prints.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { report } from '../src/addon.ts';

export interface Place {
  readonly name: string;
  /** '' where it is there. */
  readonly skip: string;
  /** Runs fn while cuda() opens this place. */
  open<T>(fn: () => Promise<T>): Promise<T>;
}

export const emulated = fileURLToPath(new URL('../build-emulated/Release/ao_cuda.node', import.meta.url));

function gpuSkip(): string {
  try {
    return report().reason;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function within<T>(file: string, fn: () => Promise<T>): Promise<T> {
  const before = process.env['AO_CUDA'];
  process.env['AO_CUDA'] = file;
  try {
    return await fn();
  } finally {
    if (before === undefined) delete process.env['AO_CUDA'];
    else process.env['AO_CUDA'] = before;
  }
}

export function places(): Place[] {
  const gpu = { name: 'GPU', skip: gpuSkip(), open: <T>(fn: () => Promise<T>): Promise<T> => fn() };
  const emulator = {
    name: 'emulator',
    skip: existsSync(emulated) ? '' : 'the emulator is not built: pnpm --filter @ao/kernels-cuda build:emulated',
    open: <T>(fn: () => Promise<T>): Promise<T> => within(emulated, fn),
  };
  for (const place of [gpu, emulator]) if (place.skip) console.log(`skipped, cuda on ${place.name}: ${place.skip}`);
  return [gpu, emulator];
}
