// QuantizationReport: every weight of a linear or embedding with its scheme and bytes, or why it was left as it is.
import type { TensorPlan } from '@ao/quantization';
import { moduleOf } from '../models/family.ts';
import type { QuantizationPlan } from './plan.ts';

export interface ReportRow {
  /** The module. */
  readonly name: string;
  /** 'int4wo-32'; null = left as it is. */
  readonly scheme: string | null;
  /** How the scheme reads activations; 'exact' = as they are. */
  readonly activation?: string;
  readonly shape: readonly number[];
  /** Bits a weight, scales and zero points included. */
  readonly bits: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** dB between the weight and its dequantized form. */
  readonly sqnr?: number;
  readonly rule?: string;
  /** Why it was left as it is. */
  readonly reason?: string;
  readonly warning?: string;
}

export interface QuantizationReport {
  readonly modules: readonly ReportRow[];
  /** All tensors of the model, norms included. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly unusedRules: readonly string[];
}

export interface Outcome {
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly sqnr?: number;
}

/** `outcomes` has every parameter of the model, `plans` those that are quantized. */
export function report(
  plan: QuantizationPlan,
  plans: ReadonlyMap<string, TensorPlan>,
  outcomes: ReadonlyMap<string, Outcome>,
): QuantizationReport {
  const modules = plan.parameters.map(({ parameter, rule, reason }): ReportRow => {
    const { bytesBefore, bytesAfter, sqnr } = outcomes.get(parameter.name)!;
    const made = plans.get(parameter.name);
    return {
      name: moduleOf(parameter.name),
      scheme: made?.scheme ?? null,
      ...(made === undefined ? {} : { activation: made.activation }),
      shape: parameter.shape,
      bits: (bytesAfter * 8) / parameter.shape.reduce((n, d) => n * d, 1),
      bytesBefore,
      bytesAfter,
      ...(sqnr === undefined ? {} : { sqnr }),
      ...(rule === undefined ? {} : { rule }),
      ...(made !== undefined || reason === undefined ? {} : { reason }),
      ...(made?.warning === undefined ? {} : { warning: made.warning }),
    };
  });
  const sum = (key: 'bytesBefore' | 'bytesAfter'): number => [...outcomes.values()].reduce((n, o) => n + o[key], 0);
  return { modules, bytesBefore: sum('bytesBefore'), bytesAfter: sum('bytesAfter'), unusedRules: plan.unusedRules };
}
