// What configs would make of weights, and the one error that lists all that cannot be done.
import { AoError, type Dense, type Runtime, scope, type Tensor, unpackedOf } from '@ao/core';
import type { AoConfig } from '../config/config.ts';
import type { Decision } from './select.ts';
import { isProblem, planTrait, type TensorPlan, type TensorProblem, type WeightInfo } from './trait.ts';

/** What `config` makes of a weight of this shape: the question behind quantize_, for loaders that quantize on the way. */
export function planTensor(rt: Runtime, config: AoConfig, info: WeightInfo): TensorPlan | TensorProblem {
  return rt.ask(planTrait, config, info, rt);
}

/** One weight quantized by a config; throws ERR_AO_CONFIG where it cannot have it. The weight stays as it is. */
export function quantizeTensor(weight: Tensor, config: AoConfig, fqn?: string): Tensor {
  const plan = planTensor(weight.rt, config, { shape: weight.shape, dtype: weight.dtype.name });
  if (!isProblem(plan)) return scope(() => plan.quantize(unpackedOf(weight) as Dense));
  throw new AoError('ERR_AO_CONFIG', plan.problem, { op: 'quantize', fix: plan.fix, tensor: fqn });
}

export type Plans = ReadonlyMap<Decision, TensorPlan | TensorProblem>;

const moduleOf = (d: Decision | undefined): string => (d?.names[0] ?? '').replace(/\.?[^.]+$/, '');

/** Plans of all decisions that have a config. Throws ERR_AO_CONFIG naming every weight without one, unless `skip`. */
export function preflight(rt: Runtime, decisions: readonly Decision[], skip: boolean): Plans {
  const plans = new Map<Decision, TensorPlan | TensorProblem>();
  const failed: Decision[] = [];
  const lines: string[] = [];
  for (const d of decisions) {
    if (d.config === null) continue;
    const plan = planTensor(rt, d.config, { shape: d.weight.shape, dtype: d.weight.dtype.name });
    plans.set(d, plan);
    if (isProblem(plan)) {
      failed.push(d);
      lines.push(`${d.names[0]}: ${plan.problem}; ${plan.fix}`);
    } else if (plan.warning !== undefined) {
      rt.say({ level: 'warn', code: 'quantize', message: `${d.names[0]}: ${plan.warning}` }, plan.warning);
    }
  }
  if (failed.length === 0 || skip) return plans;
  const what =
    failed.length === 1 ? 'a weight cannot have its scheme' : `${failed.length} weights cannot have their scheme`;
  throw new AoError('ERR_AO_CONFIG', `${what}; nothing was changed:\n  ${lines.join('\n  ')}\n`, {
    op: 'quantize_',
    module: moduleOf(failed[0]),
    fix: "change the config, add rules for these weights, or pass { onUnsupported: 'skip' }",
  });
}
