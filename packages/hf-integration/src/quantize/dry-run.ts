// dryRun(folder, config): the report that quantizeCheckpoint would give, from names and shapes alone; nothing is written.
import { dtypeBySafetensors, type Runtime } from '@ao/core';
import type { QuantizeReport } from '@ao/quantization';
import { readModelConfig } from '../config/model-config.ts';
import { aliased } from '../files/aliased.ts';
import { openCheckpoint } from '../files/checkpoint.ts';
import { checkNames } from '../load/check-names.ts';
import { familyOf } from '../models/family.ts';
import { outlineFor, planQuantization } from './plan.ts';
import { type Outcome, report } from './report.ts';
import { tensorPlans } from './tensor-plans.ts';
import type { TorchAoConfig } from './torchao-config.ts';

export async function dryRun(folder: string, config: TorchAoConfig, runtime: Runtime): Promise<QuantizeReport> {
  const model = await readModelConfig(folder);
  const family = familyOf(model);
  const { outline, sources } = outlineFor(family, model, config);
  const plan = planQuantization(outline, config);
  await using checkpoint = await openCheckpoint(folder);
  const tensors = aliased(checkpoint.tensors, sources);
  checkNames(family, outline, new Map(tensors.names.map((n) => [n, tensors.entry(n).shape])), folder);
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
