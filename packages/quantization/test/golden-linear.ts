// What tests of golden cases share: inputs as tensors, and the weight quantized by the case's config.
import { type Dense, dtypeByName, fromBits, type Runtime, type Wrapped } from '@ao/core';
import { type GoldenCase, goldenInputs } from '@ao/testing';
import { configFromDict } from '../src/config/codec.ts';
import { planTensor } from '../src/quantize/preflight.ts';
import { isProblem } from '../src/quantize/trait.ts';

export async function inputs(rt: Runtime, c: GoldenCase): Promise<Record<string, Dense>> {
  const found = Object.entries(await goldenInputs(c));
  return Object.fromEntries(found.map(([role, t]) => [role, fromBits(rt, t.bits, t.shape, dtypeByName(t.dtype))]));
}

export function quantized(c: GoldenCase, weight: Dense): Wrapped {
  const plan = planTensor(weight.rt, configFromDict(c.config), { shape: weight.shape, dtype: weight.dtype.name });
  if (isProblem(plan)) throw new Error(plan.problem);
  return plan.quantize(weight) as Wrapped;
}
