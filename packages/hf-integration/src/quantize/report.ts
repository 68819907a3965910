// report: what a plan does, or did, as quantize_ reports it: one row per weight of a linear or embedding.
import { bitsPerWeight, type QuantizeReport, type QuantizeRow, type TensorPlan } from '@ao/quantization';
import type { Outline } from '../models/family.ts';
import type { QuantizationPlan } from './plan.ts';

export interface Outcome {
  /** Name of the dtype that it had. */
  readonly dtype: string;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly sqnr: number | null;
}

/** `outcomes` has every parameter of the model, `plans` those that are quantized. */
export function report(
  outline: Outline,
  plan: QuantizationPlan,
  plans: ReadonlyMap<string, TensorPlan>,
  outcomes: ReadonlyMap<string, Outcome>,
  dryRun: boolean,
): QuantizeReport {
  const rows = plan.parameters.map(({ parameter, rule, reason }): QuantizeRow => {
    const { dtype, bytesBefore, bytesAfter, sqnr } = outcomes.get(parameter.name)!;
    const made = plans.get(parameter.name);
    return {
      fqn: parameter.name,
      tied: Object.keys(outline.tied).filter((alias) => outline.tied[alias] === parameter.name),
      shape: parameter.shape,
      dtype,
      scheme: made?.scheme ?? null,
      bits: made?.bits ?? (8 * bytesBefore) / parameter.shape.reduce((n, d) => n * d, 1),
      activation: made?.activation ?? 'exact',
      ...(made?.emulated === undefined ? {} : { emulated: made.emulated }),
      bytesBefore,
      bytesAfter,
      bitsPerWeight: bitsPerWeight(bytesAfter, parameter.shape),
      sqnr,
      ...(rule === undefined || rule === '_default' ? {} : { rule }),
      ...(made === undefined ? { skipped: reason ?? 'no rule matches' } : {}),
    };
  });
  const sum = (key: 'bytesBefore' | 'bytesAfter'): number => [...outcomes.values()].reduce((n, o) => n + o[key], 0);
  const { unusedRules } = plan;
  return { rows, bytesBefore: sum('bytesBefore'), bytesAfter: sum('bytesAfter'), unusedRules, dryRun };
}
