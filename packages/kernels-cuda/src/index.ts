// @ao/kernels-cuda: the "cuda" device. `cuda()` is the extension; nothing loads before the runtime opens it.
import type { Extension, Runtime } from '@ao/core';
import { nativeEntries } from '@ao/kernels-cpu/native';
import { type CudaBackend, type CudaOptions, openBackend } from './open.ts';

export { type CudaReport, report } from './addon.ts';
export type { CudaBackend, CudaOptions } from './open.ts';

/** The cuda backend for createRuntime({ use: [cuda()] }). Without a GPU it rejects with the reason and what would help. */
export function cuda(options: CudaOptions = {}): Extension {
  return {
    name: '@ao/kernels-cuda',
    entries: nativeEntries('cuda'),
    async open(rt: Runtime): Promise<CudaBackend> {
      return openBackend(options, {
        site: () => rt.site(),
        onFailure: (error) => rt.say({ level: 'warn', code: error.code, message: error.message }, error.message),
      });
    },
  };
}
