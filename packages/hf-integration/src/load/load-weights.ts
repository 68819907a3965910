// loadWeights: the tensors of a checkpoint as parameters on a device, one at a time, largest first: read, cast or quantize,
// pack, free the plain bytes. So memory peaks while the largest is handled, when nearly nothing else is there yet. All of it
// is only enqueued here where the backend reads files itself: the thread is free while the stream works.
import {
  AoError,
  cast,
  type Dense,
  type DType,
  isWrapped,
  keep,
  packWeight,
  type Runtime,
  scope,
  type Tensor,
  type TensorFile,
  Wrapped,
} from '@ao/core';
import type { TensorPlan } from '@ao/quantization';
import { PendingReads } from '../files/pending-reads.ts';
import { readStored, type Stored } from '../files/stored.ts';
import type { Outline, ParameterSpec } from '../models/family.ts';
import type { OnProgress } from '../progress.ts';
import { upcast, upcasts } from '../upcast.ts';

export interface LoadWeightsOptions {
  /** Of a parameter. */
  readonly deviceOf: (name: string) => string;
  /** dtype of activations and of what is not quantized. */
  readonly dtype: DType;
  /** What to make of a weight; those that are not in it stay as they are. */
  readonly plans: ReadonlyMap<string, TensorPlan>;
  /** Leaves float parameters unpacked and lets them require gradients. */
  readonly trainable?: boolean | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

export async function loadWeights(
  rt: Runtime,
  outline: Outline,
  file: TensorFile,
  stored: ReadonlyMap<string, Stored>,
  options: LoadWeightsOptions,
): Promise<Map<string, Tensor>> {
  const { deviceOf, onProgress, signal } = options;
  const bytes = (spec: ParameterSpec): number => stored.get(spec.name)!.nbytes;
  const order = outline.parameters.filter((p) => stored.has(p.name)).sort((a, b) => bytes(b) - bytes(a));
  const total = order.reduce((n, spec) => n + bytes(spec), 0);
  const backends = [...new Set(order.map((p) => deviceOf(p.name)))].map((device) => rt.backend(device));
  const weights = new Map<string, Tensor>();
  const pending = new PendingReads();
  let loaded = 0;
  try {
    for (const spec of order) {
      signal?.throwIfAborted();
      weights.set(spec.name, await loadOne(rt, spec, file, stored.get(spec.name)!, options, pending));
      if (bytes(spec) > LARGE) rt.backend(deviceOf(spec.name)).trim();
      pending.after(() => {
        loaded += bytes(spec);
        onProgress?.({ phase: 'load', name: spec.name, loaded, total });
      });
    }
    await pending.all();
    for (const backend of backends) await backend.sync();
    signal?.throwIfAborted();
    for (const backend of backends) backend.trim();
    return weights;
  } catch (error) {
    await pending.ended();
    for (const t of weights.values()) t.dispose();
    throw error;
  }
}

/** Above this, memory that a tensor needed for a moment goes back to the system before the next one. */
export const LARGE = 16 << 20;

async function loadOne(
  rt: Runtime,
  spec: ParameterSpec,
  file: TensorFile,
  stored: Stored,
  options: LoadWeightsOptions,
  pending: PendingReads,
): Promise<Tensor> {
  const { dtype, signal, plans, trainable = false } = options;
  const device = options.deviceOf(spec.name);
  const raw = await readStored(rt, file, stored, { device, signal, pending });
  if (trainable && !isWrapped(raw) && !plans.has(spec.name)) {
    const value = keep(cast(raw, dtype));
    if (value !== raw) raw.dispose();
    value.requiresGrad = true;
    return value;
  }
  return asLoaded(rt, spec, raw, dtype, plans.get(spec.name));
}

/** What a stored tensor becomes in memory: cast, quantized by its plan, packed. It takes `stored` over. */
export function asLoaded(
  rt: Runtime,
  spec: Pick<ParameterSpec, 'name' | 'shape' | 'role'>,
  stored: Tensor,
  dtype: DType,
  plan: TensorPlan | undefined,
): Tensor {
  const raw = keep(stored);
  if (isWrapped(raw)) return packed(rt, spec, retyped(raw, spec, dtype));
  if (plan === undefined && spec.role !== 'vector' && upcasts(raw.dtype, dtype)) {
    const narrow = keep(upcast(raw, dtype));
    // only a backend that reads the narrow codes directly gains by them
    if (packWeight(rt, narrow)) return narrow;
  }
  const value = keep(cast(raw, dtype)) as Dense;
  if (value !== raw) raw.dispose();
  if (plan === undefined) return packed(rt, spec, value);
  const quantized = keep(scope(() => plan.quantize(value)));
  value.dispose();
  return packed(rt, spec, quantized);
}

function packed(rt: Runtime, spec: Pick<ParameterSpec, 'role'>, t: Tensor): Tensor {
  if (spec.role !== 'vector') packWeight(rt, t);
  return t;
}

/** A stored kind under the model's dtype: codes and scales stay what they are. */
function retyped(t: Wrapped, spec: Pick<ParameterSpec, 'name' | 'shape'>, dtype: DType): Tensor {
  if (t.shape.length !== spec.shape.length || t.shape.some((d, i) => d !== spec.shape[i])) {
    throw new AoError('ERR_AO_FORMAT', `the quantized shape is [${t.shape}], config.json means [${spec.shape}]`, {
      tensor: spec.name,
      fix: 'use the config.json that belongs to these weights',
    });
  }
  if (t.dtype === dtype) return t;
  const parts = Object.entries(t.parts).map(([name, part]) => [
    name,
    isWrapped(part) ? retyped(part, { name: spec.name, shape: part.shape }, dtype) : part,
  ]);
  return keep(new Wrapped(t.rt, t.kind, Object.fromEntries(parts), t.attrs, t.shape, dtype));
}
