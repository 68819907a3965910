// Kernels of a library outside this package (ao/plugin.h), run by the stream like its own.
import { AoError, type Dense } from '@ao/core';
import type { PluginKernel } from './addon.ts';
import type { CpuBackend } from './backend.ts';

/** Kernels by library path and name; a library stays open for the rest of the process. */
const libraries = /*@__PURE__*/ new Map<string, ReadonlyMap<string, PluginKernel>>();

function find(backend: CpuBackend, library: string, name: string): PluginKernel {
  let kernels = libraries.get(library);
  if (kernels === undefined) {
    try {
      kernels = new Map(backend.openPlugin(library).map((k) => [k.name, k]));
    } catch (error) {
      throw new AoError('ERR_AO_KERNEL', `the library ${library} cannot be used: ${(error as Error).message}`, {
        op: name,
        fix: 'build it for this machine against ao/plugin.h of this version',
      });
    }
    libraries.set(library, kernels);
  }
  const kernel = kernels.get(name);
  if (kernel !== undefined) return kernel;
  throw new AoError('ERR_AO_KERNEL', `${library} has no kernel '${name}'; it has ${[...kernels.keys()].join(', ')}`, {
    op: name,
    fix: 'add it to the table given to AO_PLUGIN',
  });
}

/**
 * A kernel of a shared library, opened at its first call: `run(out, ...record)` enqueues it on the stream of `out`. The record
 * holds the kernel's fields in order: address(t) for pointers (0 = absent), integers, numbers.
 */
export function nativeKernel(library: string, name: string): (on: Dense, ...record: readonly number[]) => void {
  return (on, ...record) => {
    if (on.device !== 'cpu') {
      throw new AoError('ERR_AO_DEVICE', `${name} was given a tensor on ${on.device}; it runs on cpu`, {
        op: name,
        fix: "register it by kernel(op, 'cpu', ...)",
      });
    }
    const backend = on.storage.backend as CpuBackend;
    const kernel = find(backend, library, name);
    if (record.length !== kernel.length) {
      throw new AoError('ERR_AO_KERNEL', `${name} takes ${kernel.length} values, it got ${record.length}`, {
        op: name,
        fix: 'give the fields of its description in order',
      });
    }
    backend.runPlugin(kernel, record);
  };
}
