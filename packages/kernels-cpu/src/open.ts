// Options and environment -> an open backend.
import { AoError } from '@ao/core';
import { CpuBackend } from './backend.ts';
import { load } from './load.ts';
import type { StreamOptions } from './stream.ts';

export interface CpuOptions {
  /** Threads, the stream's own included; default AO_NUM_THREADS, else what the machine grants. */
  readonly threads?: number;
  /** 'portable' | 'avx2' | 'avx512' on x64, 'neon' | 'dotprod' | 'i8mm' on arm64; default AO_ISA, else the best of the machine. */
  readonly isa?: string;
  /** Bytes that may be reserved; default AO_MEMORY_LIMIT, else no limit. */
  readonly memoryLimit?: number;
  /** Looks at every field of every command before it runs, for debugging kernels; default AO_CHECK=1. */
  readonly check?: boolean;
}

function memoryLimit(option: number | undefined): number {
  const given = option ?? process.env['AO_MEMORY_LIMIT'];
  if (given === undefined || given === '') return Number.POSITIVE_INFINITY;
  const bytes = Number(given);
  if (bytes > 0) return bytes;
  throw new AoError('ERR_AO_CONFIG', `memoryLimit (AO_MEMORY_LIMIT) is '${given}'`, {
    fix: 'give a number of bytes above 0',
  });
}

const nothing: Pick<StreamOptions, 'site' | 'onFailure'> = { site: () => undefined, onFailure: () => {} };

export function openBackend(
  options: CpuOptions = {},
  told: Pick<StreamOptions, 'site' | 'onFailure'> = nothing,
): CpuBackend {
  const limit = memoryLimit(options.memoryLimit);
  const { threads = 0, isa = '', check = process.env['AO_CHECK'] === '1' } = options;
  if (!Number.isInteger(threads) || threads < 0) {
    throw new AoError('ERR_AO_CONFIG', `threads is ${threads}`, { fix: 'give a whole number, or leave it out' });
  }
  const { addon, library } = load();
  return new CpuBackend(addon, { threads, isa, check, memoryLimit: limit, library, ...told });
}
