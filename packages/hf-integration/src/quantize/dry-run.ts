// dryRun(name, config): the report that quantizeCheckpoint would give, from names and shapes alone; nothing is written.
import { dtypeBySafetensors, type Runtime } from '@ao/core';
import type { QuantizeReport } from '@ao/quantization';
import { readModelConfig } from '../config/model-config.ts';
import { aliased } from '../files/aliased.ts';
import { openCheckpoint } from '../files/checkpoint.ts';
import { storedTensors } from '../files/stored.ts';
import { locateHeaders } from '../hub/locate-headers.ts';
import type { HubOptions } from '../hub/options.ts';
import { checkDtypes } from '../load/check-dtypes.ts';
import { checkNames } from '../load/check-names.ts';
import { familyOf, outlineOf } from '../models/family.ts';
import { outlineFor, planQuantization } from './plan.ts';
import { type Outcome, report } from './report.ts';
import { tensorPlans } from './tensor-plans.ts';
import type { TorchAoConfig } from './torchao-config.ts';

export async function dryRun(
  name: string,
  config: TorchAoConfig,
  runtime: Runtime,
  options: HubOptions = {},
): Promise<QuantizeReport> {
  const { folder, files } = await locateHeaders(name, options);
  const model = await readModelConfig(folder);
  const family = familyOf(model);
  const { outline: all, sources } = outlineFor(family, model, config);
  await using checkpoint = await openCheckpoint(folder, all, files);
  const tensors = aliased(checkpoint.tensors, sources);
  const outline = outlineOf(all, (name) => tensors.has(name));
  const plan = planQuantization(outline, config);
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
