// convertToFloat8Training: a model's linears become Float8Linears.
import { AoError, type Linear, type Module } from '@ao/core';
import type { Float8LinearConfig, Float8LinearOptions, Float8LinearRecipeName } from './config/float8-linear-config.ts';
import { float8LinearConfig } from './config/float8-linear-config.ts';
import { recipeConfig, requireRecipe } from './config/recipes.ts';
import { Float8Linear, float8Tensor } from './float8-linear.ts';
import { ALIGNMENT } from './float8-scheme.ts';
import { type ModuleFilterFn, swapLinears } from './swap-linears.ts';

export interface ConvertToFloat8Options {
  /** Config by name; `config` overrides single options of it. */
  readonly recipe?: Float8LinearRecipeName;
  readonly config?: Float8LinearOptions;
  /** Which linears; all unless given. */
  readonly moduleFilterFn?: ModuleFilterFn;
  /** Counts saturated and non-finite values of each cast, for float8Counts. */
  readonly countValues?: boolean;
}

const configOf = ({ recipe, config }: ConvertToFloat8Options): Float8LinearConfig =>
  recipe === undefined ? float8LinearConfig(config) : recipeConfig(recipe, config);

/**
 * In place; a root linear is returned in its new class. Weights that can require gradients do as before. Throws ERR_AO_SHAPE naming every
 * linear whose sizes are no multiples of 16 (unless the config has emulate), before any work.
 */
export function convertToFloat8Training<M extends Module>(model: M, options: ConvertToFloat8Options = {}): M {
  const config = configOf(options);
  return swapLinears(model, {
    moduleFilterFn: options.moduleFilterFn,
    problem: (shape) =>
      config.emulate || shape.every((n) => n % ALIGNMENT === 0)
        ? undefined
        : `has sizes that ${ALIGNMENT} does not divide`,
    fix: 'leave them out by moduleFilterFn (autoFilterForRecipe does), or set emulate: true',
    make: (weight, fqn) => float8Tensor(weight, fqn, config, options.countValues ?? false),
    module: Float8Linear,
  });
}

type Enough = (n: number, k: number) => boolean;

const ENOUGH: Readonly<Partial<Record<Float8LinearRecipeName, Enough>>> = {
  tensorwise: (n, k) => k > 4096 || n > 1024,
  rowwise: (n, k) => n > 2048 && k > 1024 && (n > 4096 || k > 2048),
};

/**
 * torchao's _auto_filter_for_recipe: linears whose names contain none of `filterFqns`, whose sizes are multiples of 16, and which are so
 * large that float8 pays off on an H100.
 */
export function autoFilterForRecipe(recipe: Float8LinearRecipeName, filterFqns: readonly string[]): ModuleFilterFn {
  const enough = ENOUGH[requireRecipe(recipe)];
  if (enough === undefined) {
    throw new AoError('ERR_AO_CONFIG', `there are no thresholds for ${recipe}`, {
      fix: 'give a moduleFilterFn of your own',
    });
  }
  return (module, fqn) => {
    const [n, k] = (module as Linear).weight.shape as [number, number];
    const aligned = n % ALIGNMENT === 0 && k % ALIGNMENT === 0;
    return aligned && enough(n, k) && !filterFqns.some((part) => fqn.includes(part));
  };
}
