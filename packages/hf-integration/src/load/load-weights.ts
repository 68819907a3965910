// loadWeights: the tensors of a checkpoint as parameters on a device, one at a time, largest first: read, cast or quantize,
// pack, free the plain bytes. So memory peaks while the largest is handled, when nearly nothing else is there yet.
import { cast, type DType, keep, packWeight, type Runtime, type Tensor, type TensorFile } from '@ao/core';
import { readTensor } from '../files/read-tensor.ts';
import type { Outline, ParameterSpec } from '../models/family.ts';
import type { OnProgress } from '../progress.ts';
import { upcast, upcasts } from '../upcast.ts';

export interface LoadWeightsOptions {
  readonly device: string;
  /** dtype of activations and of what is not quantized. */
  readonly dtype: DType;
  /** Makes the parameter from its dense value in `dtype`; undefined keeps it. */
  readonly transform?: (spec: ParameterSpec, value: Tensor) => Promise<Tensor> | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

export async function loadWeights(
  rt: Runtime,
  outline: Outline,
  file: TensorFile,
  options: LoadWeightsOptions,
): Promise<Map<string, Tensor>> {
  const { device, onProgress, signal } = options;
  const bytes = (spec: ParameterSpec): number => {
    const { begin, end } = file.entry(spec.name);
    return end - begin;
  };
  const order = [...outline.parameters].sort((a, b) => bytes(b) - bytes(a));
  const total = order.reduce((n, spec) => n + bytes(spec), 0);
  const backend = rt.backend(device);
  const weights = new Map<string, Tensor>();
  let loaded = 0;
  try {
    for (const spec of order) {
      signal?.throwIfAborted();
      weights.set(spec.name, await loadOne(rt, spec, file, options));
      await backend.sync();
      loaded += bytes(spec);
      onProgress?.({ phase: 'load', name: spec.name, loaded, total });
    }
    backend.trim();
    return weights;
  } catch (error) {
    for (const t of weights.values()) t.dispose();
    throw error;
  }
}

async function loadOne(
  rt: Runtime,
  spec: ParameterSpec,
  file: TensorFile,
  options: LoadWeightsOptions,
): Promise<Tensor> {
  const { device, dtype, signal, transform } = options;
  const raw = keep(await readTensor(rt, file, spec.name, { device, signal }));
  if (!transform && spec.role !== 'vector' && upcasts(raw.dtype, dtype)) {
    const narrow = keep(upcast(raw, dtype));
    // only a backend that reads the narrow codes directly gains by them
    if (packWeight(rt, narrow)) return narrow;
  }
  const value = keep(cast(raw, dtype));
  if (value !== raw) raw.dispose();
  const made = await transform?.(spec, value);
  if (made === undefined) {
    if (spec.role !== 'vector') packWeight(rt, value);
    return value;
  }
  keep(made);
  value.dispose();
  packWeight(rt, made);
  return made;
}
