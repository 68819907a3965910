// torchao's recipes (Float8LinearConfig.from_recipe_name):
//   tensorwise          e4m3 forward, e5m2 gradients, one scale a tensor
//   rowwise             e4m3, a scale for each row, rounded down to powers of two
//   rowwise_with_gw_hp  rowwise; grad_input reads the weight tensorwise, grad_weight is a product of the operands as they are
import { AoError } from '@ao/core';
import {
  type Float8LinearConfig,
  type Float8LinearOptions,
  type Float8LinearRecipeName,
  float8LinearConfig,
} from './float8-linear-config.ts';

const ROWS = { scalingGranularity: 'axiswise' } as const;
const ROWS_E4M3 = { scalingGranularity: 'axiswise', targetDtype: 'float8_e4m3fn' } as const;

const RECIPES: Readonly<Record<Float8LinearRecipeName, Float8LinearOptions>> = /*@__PURE__*/ Object.freeze({
  tensorwise: {},
  rowwise: {
    castConfigInput: ROWS,
    castConfigWeight: ROWS,
    castConfigGradOutput: ROWS_E4M3,
    roundScalesToPowerOf2: true,
  },
  rowwise_with_gw_hp: {
    castConfigInput: ROWS,
    castConfigInputForGradWeight: { scalingType: 'disabled' },
    castConfigWeight: ROWS,
    castConfigWeightForGradInput: { scalingGranularity: 'tensorwise' },
    castConfigGradOutput: ROWS_E4M3,
    castConfigGradOutputForGradWeight: { scalingType: 'disabled', targetDtype: 'float8_e4m3fn' },
    roundScalesToPowerOf2: true,
  },
});

export const float8Recipes = (): Float8LinearRecipeName[] => Object.keys(RECIPES) as Float8LinearRecipeName[];

/** Throws ERR_AO_CONFIG for a name that is none. */
export function requireRecipe(name: string): Float8LinearRecipeName {
  if (Object.hasOwn(RECIPES, name)) return name as Float8LinearRecipeName;
  throw new AoError('ERR_AO_CONFIG', `'${name}' is no float8 recipe`, { fix: `use ${float8Recipes().join(', ')}` });
}

/** The config of a recipe; options that are given replace the recipe's. */
export const recipeConfig = (name: Float8LinearRecipeName, options: Float8LinearOptions = {}): Float8LinearConfig =>
  float8LinearConfig({ ...RECIPES[requireRecipe(name)], ...options });
