// memoryOf(): bytes that a weight [N, ...] will take on a device when it is loaded. Loading slices of a few rows, of zeros, tells it: a
// layout's bytes grow with whole blocks of rows, so of two slices that are a block apart
//   bytes(N) = bytes(small) + (N - small) / block * (bytes(small + block) - bytes(small)),  small = N modulo block, above 0.
import { AoError, type DType, dtypeByName, keep, type Runtime, scope, zeros } from '@ao/core';
import { type AoConfig, isProblem, planTensor, tensorBytes } from '@ao/quantization';
import { asLoaded } from '../load/load-weights.ts';
import type { ParameterSpec } from '../models/family.ts';

export interface Loading {
  /** Name of the dtype in the file. */
  readonly stored: string;
  /** dtype of activations. */
  readonly dtype: DType;
  /** null = not quantized. */
  readonly config: AoConfig | null;
}

/** Rows: a multiple of what any layout puts together; a slice of a matrix is small all the same. */
const BLOCK = 64;

/** A function that remembers: layers are alike. */
export function memoryOf(rt: Runtime, device = rt.device): (spec: ParameterSpec, loading: Loading) => number {
  const known = new Map<string, number>();
  return (spec, loading) => {
    const { stored, dtype, config } = loading;
    const key = JSON.stringify([spec.shape, spec.role, stored, dtype.name, config]);
    if (!known.has(key)) known.set(key, measured(rt, device, spec, loading));
    return known.get(key)!;
  };
}

function measured(rt: Runtime, device: string, spec: ParameterSpec, loading: Loading): number {
  const [rows = 1] = spec.shape;
  // of experts [E, N, K] one is a block
  const block = spec.shape.length === 2 ? BLOCK : 1;
  if (spec.role === 'vector') return spec.shape.reduce((n, d) => n * d, loading.dtype.itemsize);
  if (rows <= 2 * block) return bytesOf(rt, device, spec, rows, loading);
  const small = ((rows - 1) % block) + 1 + block;
  const one = bytesOf(rt, device, spec, small, loading);
  if (rows === small) return one;
  return one + ((rows - small) / block) * (bytesOf(rt, device, spec, small + block, loading) - one);
}

function bytesOf(
  rt: Runtime,
  device: string,
  spec: ParameterSpec,
  rows: number,
  { stored, dtype, config }: Loading,
): number {
  const shape = [rows, ...spec.shape.slice(1)];
  const plan = config === null ? undefined : planTensor(rt, config, { shape, dtype: dtype.name });
  if (plan && isProblem(plan)) throw new AoError('ERR_AO_CONFIG', plan.problem, { tensor: spec.name, fix: plan.fix });
  const raw = scope(() => keep(zeros(rt, shape, { dtype: dtypeByName(stored), device })));
  const loaded = asLoaded(rt, { ...spec, shape }, raw, dtype, plan);
  const bytes = tensorBytes(loaded);
  loaded.dispose();
  return bytes;
}
