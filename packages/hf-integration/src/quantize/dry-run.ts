// dryRun(folder, config): the report that quantizeCheckpoint would give, from names and shapes alone; nothing is written.
import { dtypeBySafetensors, type Runtime } from '@ao/core';
import type { QuantizeReport } from '@ao/quantization';
import { readModelConfig } from '../config/model-config.ts';
import { openCheckpoint } from '../files/checkpoint.ts';
import { storedTensors } from '../files/stored.ts';
import { checkDtypes } from '../load/check-dtypes.ts';
import { checkNames } from '../load/check-names.ts';
import { familyOf } from '../models/family.ts';
import { planQuantization } from './plan.ts';
import { type Outcome, report } from './report.ts';
import { tensorPlans } from './tensor-plans.ts';
import type { TorchAoConfig } from './torchao-config.ts';

export async function dryRun(folder: string, config: TorchAoConfig, runtime: Runtime): Promise<QuantizeReport> {
  const model = await readModelConfig(folder);
  const family = familyOf(model);
  const outline = family.outline(model);
  const plan = planQuantization(outline, config);
  await using checkpoint = await openCheckpoint(folder, outline);
  const { tensors } = checkpoint;
  checkNames(family, outline, new Map(tensors.names.map((n) => [n, tensors.entry(n).shape])), folder);
  checkDtypes(outline, tensors, storedTensors(tensors), folder);
  const dtype = (name: string): string => dtypeBySafetensors(tensors.entry(name).dtype).name;
  const plans = tensorPlans(runtime, plan, dtype);
  const outcomes = new Map(
    outline.parameters.map(({ name }): [string, Outcome] => {
      const { begin, end } = tensors.entry(name);
      const bytesBefore = end - begin;
      return [name, { dtype: dtype(name), bytesBefore, bytesAfter: plans.get(name)?.bytes ?? bytesBefore, sqnr: null }];
    }),
  );
  return report(outline, plan, plans, outcomes, true);
}
