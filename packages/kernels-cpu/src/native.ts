// What another device's backend with the cpu's rows is made of (@ao/kernels-cuda): the stream's backend, finding an addon, and the wiring
// of ops to rows, which is the same for each.
import type { Entry } from '@ao/core';
import { cpuEntries } from './kernels/index.ts';

export type { Addon } from './addon.ts';
export { type BackendOptions, CpuBackend as NativeBackend } from './backend.ts';
export { type AddonSource, host, type Loaded, load, platformPackage } from './load.ts';
export type { StreamOptions } from './stream.ts';

/** The cpu's kernels under the name of another device whose addon has the same rows. */
export const nativeEntries = (device: string): Entry[] =>
  cpuEntries().map((e) => (e.type === 'kernel' || e.type === 'packer' ? { ...e, device } : e));
