// @ao/kernels-cpu: the "cpu" device. `cpu()` is the extension; nothing loads before the runtime opens it.
import type { Extension, Runtime } from '@ao/core';
import type { CpuBackend } from './backend.ts';
import { cpuEntries } from './kernels/index.ts';
import { type CpuOptions, openBackend } from './open.ts';

export type { CpuBuffer } from './allocator.ts';
export { address, type CpuBackend } from './backend.ts';
export { nativeKernel } from './native-kernel.ts';
export type { CpuOptions } from './open.ts';

/** The cpu backend for createRuntime({ use: [cpu()] }). */
export function cpu(options: CpuOptions = {}): Extension {
  return {
    name: '@ao/kernels-cpu',
    entries: cpuEntries(),
    async open(rt: Runtime): Promise<CpuBackend> {
      return openBackend(options, {
        site: () => rt.site(),
        onFailure: (error) => rt.say({ level: 'warn', code: error.code, message: error.message }, error.message),
      });
    },
  };
}
