// @ao/kernels-cuda: the "cuda" device. `cuda()` is the extension; nothing loads before the runtime opens it.
import type { Extension, Runtime } from '@ao/core';
import { nativeEntries } from '@ao/kernels-cpu/native';
import { report } from './addon.ts';
import { type CudaBackend, type CudaOptions, openBackend } from './open.ts';

export { type CudaLibrary, type CudaReport, libraries, report } from './addon.ts';
export type { CudaBackend, CudaOptions } from './open.ts';

/** The cuda backend for createRuntime({ use: [cuda()] }). Without a GPU it rejects with the reason and what would help. */
export function cuda(options: CudaOptions = {}): Extension {
  const { name = 'cuda' } = options;
  return {
    name: name === 'cuda' ? '@ao/kernels-cuda' : `@ao/kernels-cuda (${name})`,
    entries: nativeEntries(name),
    async open(rt: Runtime): Promise<CudaBackend> {
      return openBackend(options, {
        site: () => rt.site(),
        onFailure: (error) => rt.say({ level: 'warn', code: error.code, message: error.message }, error.message),
      });
    },
  };
}

/** An extension for each of several GPUs: 'cuda' is the first, 'cuda:1' the next; 'all' = those that there are, [] = the first. */
export function gpus(devices: 'all' | readonly string[]): Extension[] {
  const count = (): string[] => report().devices.map((_, i) => (i === 0 ? 'cuda' : `cuda:${i}`));
  const names = devices === 'all' ? count() : devices;
  if (names.length === 0) return [cuda()];
  return names.map((name) => (name === 'cuda' ? cuda() : cuda({ name, device: Number(name.replace('cuda:', '')) })));
}
