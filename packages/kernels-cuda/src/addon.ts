// The cuda addon, and what it says of this machine.
import { createRequire } from 'node:module';
import { type Addon, type Loaded, load } from '@ao/kernels-cpu/native';

/** What the addon's probe gives; versions as CUDA has them: 13020 is 13.2, 0 = none. */
interface Probe {
  readonly reason: string;
  readonly driver: number;
  readonly runtime: number;
  readonly floor: number;
  readonly devices: readonly string[];
}

/** One of NVIDIA's libraries: where it was found, or why it was not. */
export interface CudaLibrary {
  /** 'cublasLt', 'cusparseLt', 'cudnn', 'nccl'. */
  readonly name: string;
  /** '' where it is not there. */
  readonly file: string;
  readonly why: string;
}

export interface CudaAddon extends Addon {
  probe(): Probe;
  libraries(): readonly CudaLibrary[];
}

export interface CudaDevice {
  readonly name: string;
  /** '9.0' is Hopper. */
  readonly capability: string;
  /** Bytes. */
  readonly memory: number;
  readonly multiprocessors: number;
}

export interface CudaReport {
  /** Why no GPU can be used, with what would help; '' where one can. */
  readonly reason: string;
  /** The newest CUDA that the installed driver runs, '13.0'; '' without a driver. */
  readonly driver: string;
  /** The CUDA that these kernels were built with. */
  readonly runtime: string;
  /** The oldest NVIDIA driver that runs them, 580 for CUDA 13. */
  readonly driverFloor: number;
  readonly devices: readonly CudaDevice[];
}

const version = (v: number): string => (v === 0 ? '' : `${Math.floor(v / 1000)}.${Math.floor((v % 1000) / 10)}`);

/** Opens the addon: AO_CUDA=<path of an ao_cuda.node>, else the local build, else the platform package. */
export function loadCuda(): Loaded & { readonly addon: CudaAddon } {
  return load(undefined, {
    package: '@ao/kernels-cuda',
    file: 'ao_cuda.node',
    variable: 'AO_CUDA',
    build: 'build:cuda',
    extension: 'cuda()',
    manifest: () => createRequire(import.meta.url).resolve('../package.json'),
  }) as Loaded & { readonly addon: CudaAddon };
}

/** What CUDA there is on this machine; throws ERR_AO_DEVICE where the addon itself does not open. */
export function report(): CudaReport {
  const { reason, driver, runtime, floor, devices } = loadCuda().addon.probe();
  return {
    reason,
    driver: version(driver),
    runtime: version(runtime),
    driverFloor: floor,
    devices: devices.map((text) => JSON.parse(text) as CudaDevice),
  };
}

/** NVIDIA's libraries as they would be opened; own kernels do the work of those that are not there. Opens and closes each. */
export const libraries = (): readonly CudaLibrary[] => loadCuda().addon.libraries();
