// The question that quantize_ asks of a config: what would you make of this weight? Schemes answer it in their extension.
import {
  answer,
  type Dense,
  defineTrait,
  type Entry,
  type Module,
  type Runtime,
  type Tensor,
  type Trait,
} from '@ao/core';
import { type AnyConfigSpec, type AoConfig, type ConfigSpec, completed } from '../config/config.ts';
import type { Rules } from '../rules/rules.ts';

export interface WeightInfo {
  readonly shape: readonly number[];
  /** Name of the weight's dtype. */
  readonly dtype: string;
}

/** What a scheme will do to one weight. */
export interface TensorPlan {
  /** int4wo-32, ... */
  readonly scheme: string;
  /** Bits of one code. */
  readonly bits: number;
  /** Codes, scales and zero points together, as a packed weight holds them. */
  readonly bytes: number;
  /** How the activation is read: 'exact', 'int8-group', 'int8-token', 'int8-token-asym', or 'int8-static'. */
  readonly activation: string;
  /** Why the arithmetic is emulated in floats, where this machine has none of its own for the activation's format. */
  readonly emulated?: string;
  /** Something the caller should know although it works. */
  readonly warning?: string;
  /** Makes the quantized tensor; the weight stays as it is. */
  quantize(weight: Dense): Tensor;
  /** What it makes is trained on: nothing of the model is packed, and it requires a gradient where the weight did. */
  readonly trained?: boolean;
  /** The module that takes the place of one that holds the weight, once that has been replaced. */
  module?(holder: Module): Module;
}

/** Why a weight cannot have the scheme, and what it could have. */
export interface TensorProblem {
  readonly problem: string;
  readonly fix: string;
}

export const planTrait: Trait<[info: WeightInfo, rt: Runtime], TensorPlan | TensorProblem> =
  /*@__PURE__*/ defineTrait('quantize');

/**
 * For configs that first take something out of a model: does so, and returns the rules that quantize_ goes on with; undefined
 * where this config takes nothing out.
 */
export const restoreTrait: Trait<[model: Module, takes: (fqn: string) => boolean], Rules | undefined> =
  /*@__PURE__*/ defineTrait('restore');

/** The spec of a config type, for the JSON codec of extensions that come from outside. */
export const specTrait: Trait<[], AnyConfigSpec> = /*@__PURE__*/ defineTrait('config_spec');

export const isProblem = (p: TensorPlan | TensorProblem): p is TensorProblem => 'problem' in p;

/** Shared pre-flight of the integer schemes: a float matrix whose columns the group divides. */
export function checkMatrix(
  info: WeightInfo,
  groupSize: number | null,
  fits: readonly number[],
  instead: string,
): TensorProblem | undefined {
  const shape = `[${info.shape}]`;
  if (info.shape.length !== 2)
    return { problem: `the weight ${shape} is no matrix`, fix: 'leave it out by a rule with null' };
  if (!['float32', 'float16', 'bfloat16'].includes(info.dtype)) {
    return { problem: `the weight is ${info.dtype}`, fix: 'quantize a float32, float16 or bfloat16 weight' };
  }
  const columns = info.shape[1] as number;
  if (columns === 0 || info.shape[0] === 0)
    return { problem: `the weight ${shape} is empty`, fix: 'leave it out by a rule with null' };
  if (groupSize === null || columns % groupSize === 0) return undefined;
  const good = fits.filter((g) => columns % g === 0).sort((a, b) => b - a);
  const fix = good.length > 0 ? `group size ${good.join(' or ')} fits` : instead;
  return { problem: `${columns} columns are no multiple of the group size ${groupSize}`, fix };
}

type Answer<C> = (config: C, info: WeightInfo) => TensorPlan | TensorProblem;

/** What an extension says about one config type: its plan and its spec. */
export const schemeEntries = <C extends AoConfig>(spec: ConfigSpec<C>, plan: Answer<C>): readonly Entry[] => [
  answer(planTrait, spec, (config: C, info: WeightInfo) => plan(completed(spec, config), info)),
  answer(specTrait, spec, () => spec),
];
