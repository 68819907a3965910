// tensorPlans: what each planned config makes of its weight. Everything that cannot work is one error before any work, with
// every module and a setting that fits.
import { AoError, type Runtime } from '@ao/core';
import { isProblem, planTensor, type TensorPlan } from '@ao/quantization';
import { moduleOf } from '../models/family.ts';
import type { QuantizationPlan } from './plan.ts';

/** By parameter name; `dtype` is the dtype that the weights have when they are quantized. */
export function tensorPlans(
  rt: Runtime,
  plan: QuantizationPlan,
  dtype: (parameter: string) => string,
): Map<string, TensorPlan> {
  const plans = new Map<string, TensorPlan>();
  const problems: string[] = [];
  for (const { parameter, config } of plan.parameters) {
    if (config === null) continue;
    const made = planTensor(rt, config, { shape: parameter.shape, dtype: dtype(parameter.name) });
    if (isProblem(made)) problems.push(`${moduleOf(parameter.name)}: ${made.problem} (${made.fix})`);
    else plans.set(parameter.name, made);
  }
  if (problems.length === 0) return plans;
  throw new AoError(
    'ERR_AO_CONFIG',
    `${problems.length} modules cannot be quantized so:\n  ${problems.join('\n  ')}\n`,
    {
      op: 'quantize',
      fix: 'use a setting that fits, or leave these modules out by rules',
    },
  );
}
