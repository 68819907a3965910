// @ao/float8: training whose matrix products run in low precision.
export {
  type Cast,
  type CastConfig,
  type Float8GemmConfig,
  type Float8LinearConfig,
  type Float8LinearOptions,
  type Float8LinearRecipeName,
  type Float8TrainingDtype,
  float8LinearConfig,
  type ScalingGranularity,
  type ScalingType,
} from './config/float8-linear-config.ts';
export { float8Recipes, recipeConfig } from './config/recipes.ts';
export { autoFilterForRecipe, type ConvertToFloat8Options, convertToFloat8Training } from './convert.ts';
export { convertToTraining, type TrainingConfig } from './convert-scheme.ts';
export { type Float8Counts, float8Counts, type OperandCounts } from './counts.ts';
export { float8Training } from './extension.ts';
export { Float8Linear } from './float8-linear.ts';
export { float8Codes, float8Scale, type ScaleAxis, toFloat8, toFloat8Both, toFloat8Turned } from './ops/to-float8.ts';
export { precomputeFloat8DynamicScale } from './precompute.ts';
export { type BitNetTrainingConfig, bitnetTraining } from './schemes/bitnet.ts';
export { type Float8BlockwiseLinearConfig, float8BlockwiseLinear } from './schemes/float8-blockwise.ts';
export { type Int8MixedPrecisionTrainingConfig, int8MixedPrecisionTraining } from './schemes/int8-mixed-precision.ts';
export {
  type Int8WeightOnlyQuantizedTrainingConfig,
  int8WeightOnlyQuantizedTraining,
  requantize_,
} from './schemes/int8-quantized.ts';
export { type Int8Rows, quantizeInt8Rowwise } from './schemes/int8-rows.ts';
export { type MXFP8TrainingConfig, mxfp8Training } from './schemes/mxfp8.ts';
export { type NVFP4TrainingConfig, nvfp4Training } from './schemes/nvfp4.ts';
export { type ModuleFilterFn, toFloatLinears, withFloatWeights } from './swap-linears.ts';
export { type Products, schemeOf, type TrainingScheme, trainingLinear, trainingLinears } from './training-linear.ts';
export { type TrainingAttrs, type TrainingTensor, trainingKind } from './training-tensor.ts';
