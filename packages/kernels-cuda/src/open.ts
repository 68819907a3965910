// Options and environment -> an open backend on one GPU.
import { AoError } from '@ao/core';
import { NativeBackend, type StreamOptions } from '@ao/kernels-cpu/native';
import { loadCuda } from './addon.ts';

export interface CudaOptions {
  /** Which GPU, counted from 0 as CUDA_VISIBLE_DEVICES leaves them; default AO_CUDA_DEVICE, else 0. */
  readonly device?: number;
  /** What tensors there call it; default 'cuda'. Further GPUs need names of their own, 'cuda:1'. */
  readonly name?: string;
  /** Bytes that may be reserved; default AO_CUDA_MEMORY_LIMIT, else no limit. */
  readonly memoryLimit?: number;
  /** Looks at every field of every command before it runs, for debugging kernels; default AO_CHECK=1. */
  readonly check?: boolean;
}

function number(name: string, option: number | undefined, variable: string, otherwise: number): number {
  const given = option ?? process.env[variable];
  if (given === undefined || given === '') return otherwise;
  const value = Number(given);
  if (value >= 0) return value;
  throw new AoError('ERR_AO_CONFIG', `${name} (${variable}) is '${given}'`, { fix: 'give a number from 0' });
}

export class CudaBackend extends NativeBackend {
  override info(): Readonly<Record<string, unknown>> {
    const { isa, threads, ...rest } = super.info();
    return { ...rest, multiprocessors: threads, gpu: JSON.parse(String(isa)) as unknown };
  }
}

type Told = Pick<StreamOptions, 'site' | 'onFailure'>;

export function openBackend(options: CudaOptions, told: Told): CudaBackend {
  const device = number('device', options.device, 'AO_CUDA_DEVICE', 0);
  const limit = number('memoryLimit', options.memoryLimit, 'AO_CUDA_MEMORY_LIMIT', Number.POSITIVE_INFINITY);
  const { check = process.env['AO_CHECK'] === '1' } = options;
  const { addon, library } = loadCuda();
  const { reason } = addon.probe();
  if (reason !== '') {
    throw new AoError('ERR_AO_DEVICE', `cuda() cannot open: ${reason}`, {
      fix: 'put that right, or leave cuda() out of createRuntime({ use })',
    });
  }
  return new CudaBackend(addon, {
    threads: device,
    isa: '',
    check,
    memoryLimit: limit,
    library,
    device: options.name ?? 'cuda',
    ...told,
  });
}
