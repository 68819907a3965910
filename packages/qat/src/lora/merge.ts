// Taking adapters off a model: merged into its weights, with what that loses, or as if they had never been.
import {
  AoError,
  cast,
  clone,
  float32,
  getModule,
  keep,
  type Linear,
  type Module,
  mul,
  packWeight,
  scope,
  sub,
  sum,
  type Tensor,
} from '@ao/core';
import { noGrad } from '@ao/core/autograd';
import { type LoraTensor, mergedWeight } from './lora-tensor.ts';
import { loraTensors } from './peft-model.ts';

export interface MergeRow {
  readonly module: string;
  /** Signal to noise of the merged weight as it is kept, against base + change in float32; dB. */
  readonly sqnr: number;
  /** The same of the change alone: below 0 dB rounding lost more than it kept. */
  readonly changeSqnr: number;
}

export interface MergeOptions {
  /** What a merged weight becomes, e.g. quantized as its base was; the base's dtype unless given. */
  readonly requantize?: (weight: Tensor, module: string) => Tensor;
}

const power = async (t: Tensor): Promise<number> => {
  const total = scope(() => sum(mul(t, t)));
  const value = await total.item();
  total.dispose();
  return value;
};

/** The base without its adapter; the adapter's tensors are disposed. */
function release(t: LoraTensor): Tensor {
  const { base, ...rest } = t.held as Record<string, Tensor> & { base: Tensor };
  for (const part of Object.values(rest)) part.dispose();
  return base;
}

/** PEFT's merge_and_unload: W + s B A in the place of each adapted weight; tells what rounding it loses. */
export async function mergeAndUnload(model: Module, options: MergeOptions = {}): Promise<readonly MergeRow[]> {
  const found = loraTensors(model);
  if (found.size === 0) {
    throw new AoError('ERR_AO_CONFIG', 'this model has no adapter', {
      op: 'mergeAndUnload',
      fix: 'call getPeftModel or loadAdapter',
    });
  }
  const rows: MergeRow[] = [];
  for (const [module, t] of found) {
    const base = t.held['base']!;
    const exact = keep(noGrad(() => mergedWeight(t)));
    const kept = keep(
      noGrad(() => scope(() => options.requantize?.(cast(exact, t.dtype), module) ?? clone(cast(exact, t.dtype)))),
    );
    const error = noGrad(() => scope(() => sub(cast(kept.rt.dequantize(kept), float32), exact)));
    const change = noGrad(() => scope(() => sub(exact, cast(base.rt.dequantize(base), float32))));
    const [signal, noise, moved] = [await power(exact), await power(error), await power(change)];
    const db = (x: number): number => 10 * Math.log10(x / noise);
    rows.push({ module, sqnr: db(signal), changeSqnr: db(moved) });
    for (const x of [exact, error, change]) x.dispose();
    release(t).dispose();
    const holder = getModule(model, module) as Linear;
    holder.weight = kept;
    kept.guard();
    packWeight(kept.rt, kept);
  }
  return rows;
}

/** PEFT's unload: the base weights again. */
export function unload(model: Module): void {
  for (const [module, t] of loraTensors(model)) (getModule(model, module) as Linear).weight = release(t);
}
