// @ao/quantization: quantize_, configs, tensor kinds and their files, with torchao's names and numbers.

export {
  type Analysis,
  analysisFromJson,
  analysisToJson,
  type CandidateResult,
  formatAnalysis,
  type LayerAnalysis,
} from './analyze/analysis.ts';
export { type AnalyzeOptions, analyze } from './analyze/analyze.ts';
export { mixCandidates } from './analyze/candidates.ts';
export { klDivergence } from './analyze/kl-divergence.ts';
export { type Choice, type Mixed, mix } from './analyze/mix.ts';
export { type AutoquantOptions, autoquant, finalizeAutoquant } from './autoquant/autoquant.ts';
export { autoquantCandidates } from './autoquant/candidates.ts';
export {
  type AutoquantLayer,
  type AutoquantPlan,
  applyAutoquantPlan,
  autoquantPlanFromJson,
  autoquantPlanToJson,
  formatAutoquantPlan,
} from './autoquant/plan.ts';
export { type Entrant, type RaceOptions, race } from './autoquant/race.ts';
export * from './calibrate/index.ts';
export * from './config/codebook.ts';
export {
  configFromDict,
  configFromJson,
  configToDict,
  configToJson,
  configToJsonTree,
  type MoreConfigs,
  schemeName,
} from './config/codec.ts';
export {
  type AnyConfigSpec,
  type AoConfig,
  type ConfigSpec,
  configSpec,
  field,
  makeConfig,
  type Renamed,
} from './config/config.ts';
export { configFromFile, configToFile } from './config/config-file.ts';
export * as fields from './config/field.ts';
export * from './config/float-fields.ts';
export * from './config/float8-dynamic-activation-float8-weight.ts';
export * from './config/float8-dynamic-activation-int4-weight.ts';
export * from './config/float8-static-activation-float8-weight.ts';
export {
  type Float8WeightGranularity,
  type Float8WeightOnlyConfig,
  type Float8WeightOnlyOptions,
  float8WeightOnly,
  float8WeightOnlySpec,
} from './config/float8-weight-only.ts';
export * from './config/fpx-weight-only.ts';
export {
  type FqnEntries,
  type FqnToConfig,
  type FqnToConfigInput,
  fqnToConfig,
  fqnToConfigSpec,
  moduleFqnToConfig,
} from './config/fqn-to-config.ts';
export {
  type GGUFWeightOnlyConfig,
  type GgufFormat,
  type GgufWeightOnlyOptions,
  ggufWeightOnly,
  ggufWeightOnlySpec,
} from './config/gguf-weight-only.ts';
export * from './config/granularity.ts';
export * from './config/int4-weight-only.ts';
export {
  type Int8DynamicActivationInt8WeightConfig,
  type Int8DynamicActivationInt8WeightOptions,
  type Int8Granularity,
  type Int8GranularityPair,
  int8DynamicActivationInt8Weight,
  int8DynamicActivationInt8WeightSpec,
} from './config/int8-dynamic-activation-int8-weight.ts';
export * from './config/int8-dynamic-activation-intx-weight.ts';
export * from './config/int8-static-activation-int8-weight.ts';
export * from './config/int8-weight-only.ts';
export {
  type IntxWeightOnlyConfig,
  type IntxWeightOnlyOptions,
  intxWeightOnly,
  intxWeightOnlySpec,
  type ScaleDType,
} from './config/intx-weight-only.ts';
export { type ForeignConfig, knownSpecs } from './config/known.ts';
export * from './config/mx.ts';
export {
  type Activation,
  type Int4ChooseQParamsAlgorithm,
  type Int4PackingFormat,
  type IntxChooseQParamsAlgorithm,
  type IntxDType,
  type IntxPackingFormat,
  MappingType,
  ZeroPointDomain,
} from './config/names.ts';
export * from './config/nf4-weight-only.ts';
export * from './config/nvfp4.ts';
export { Float, type Json, type PythonJsonOptions, pythonFloat, pythonJson } from './config/python-json.ts';
export { parseScheme, schemeHelp } from './config/scheme.ts';
export { type SchemeKwargs, shorthandNames } from './config/shorthands.ts';
export * from './config/uintx-weight-only.ts';
export { fromMx, type MXParts, toMx } from './formats/mx.ts';
export { nvfp4Dequantize, nvfp4Quantize, perTensorScale } from './formats/nvfp4.ts';
export { K_QUANTS, type KQuantFormat, type KQuantName, SUPER_BLOCK } from './k-quants/formats.ts';
export { dequantizeKQuant, type KQuantized, quantizeKQuant } from './k-quants/quantize-k.ts';
export type { QuantizeTensorToInt8Kwargs } from './kinds/attributes.ts';
export { type CodebookAttrs, type CodebookTensor, codebookKind } from './kinds/codebook-tensor.ts';
export { type CodedAttrs, type CodedTensor, codedKind } from './kinds/coded-tensor.ts';
export { quantizeActivationFloat8 } from './kinds/float8-activation.ts';
export type { QuantizeTensorToFloat8Kwargs } from './kinds/float8-attributes.ts';
export { type Float8Attrs, type Float8Tensor, float8Kind } from './kinds/float8-tensor.ts';
export { type FloatxAttrs, type FloatxTensor, floatxKind } from './kinds/floatx-tensor.ts';
export { type Int4Attrs, type Int4Tensor, int4Kind } from './kinds/int4-tensor.ts';
export { quantizeActivation } from './kinds/int8-linear.ts';
export { type Int8Attrs, type Int8Tensor, int8Kind } from './kinds/int8-tensor.ts';
export { type IntxAttrs, type IntxUnpackedToInt8Tensor, intxKind } from './kinds/intx-tensor.ts';
export {
  type MXAttrs,
  type MXTensor,
  mxKind,
  type QuantizeTensorToMXKwargs,
  quantizeActivationMx,
} from './kinds/mx-tensor.ts';
export { type NF4Attrs, type NF4Tensor, nf4Kind } from './kinds/nf4-tensor.ts';
export {
  type NVFP4Attrs,
  type NVFP4Tensor,
  nvfp4Kind,
  type QuantizeTensorToNVFP4Kwargs,
  quantizeActivationNvfp4,
} from './kinds/nvfp4-tensor.ts';
export { type PermutedTensor, permutedKind } from './kinds/permuted-tensor.ts';
export { type UIntxAttrs, type UIntxTensor, uintxKind } from './kinds/uintx-tensor.ts';
export * from './observe/index.ts';
export { modelBytes, tensorBytes } from './quantize/bytes.ts';
export { computeError, decibels, errorNorms } from './quantize/compute-error.ts';
export { type DequantizeModelOptions, dequantize_ } from './quantize/dequantize.ts';
export { planTensor, quantizeTensor } from './quantize/preflight.ts';
export { type QuantizeOptions, quantize_ } from './quantize/quantize.ts';
export { bitsPerWeight, formatReport, noteOf, type QuantizeReport, type QuantizeRow } from './quantize/report.ts';
export { type FilterFn, isLinear, selectWeights } from './quantize/select.ts';
export {
  checkMatrix,
  isProblem,
  planTrait,
  restoreTrait,
  schemeEntries,
  specTrait,
  type TensorPlan,
  type TensorProblem,
  type WeightInfo,
} from './quantize/trait.ts';
export { quantKernels } from './reference/kernels.ts';
export {
  fqnMatchesFqnConfig,
  fqnRules,
  matcher,
  orderedRules,
  parseRule,
  type Rule,
  type RuleSet,
  type Rules,
  resolveNames,
} from './rules/rules.ts';
export { quantization } from './schemes/all.ts';
export { codebook, codebookFromHp } from './schemes/codebook.ts';
export { float8, float8FromHp } from './schemes/float8.ts';
export { float8DynamicInt4, int4Float8FromHp } from './schemes/float8-dynamic-int4.ts';
export { floatxFromHp, fpx } from './schemes/fpx.ts';
export { gguf, ggufFromHp } from './schemes/gguf.ts';
export { int4, int4FromHp } from './schemes/int4.ts';
export { int8, int8FromHp } from './schemes/int8.ts';
export { int8Dynamic, int8Static } from './schemes/int8-dynamic.ts';
export { int8DynamicIntx } from './schemes/int8-dynamic-intx.ts';
export { intx, intxFromHp } from './schemes/intx.ts';
export { mx, mxFromHp } from './schemes/mx.ts';
export { nf4, nf4FromHp } from './schemes/nf4.ts';
export { nvfp4, nvfp4FromHp } from './schemes/nvfp4.ts';
export { uintx, uintxFromHp } from './schemes/uintx.ts';
export { readStateDict, writeStateDict } from './serialize/checkpoint.ts';
export {
  type FlatStateDict,
  type FlattenOptions,
  fileNamesOf,
  flattenTensorStateDict,
  isMetadataTorchao,
  type UnflatStateDict,
  unflattenTensor,
  unflattenTensorStateDict,
} from './serialize/state-dict.ts';
export { requireTorchaoForm, torchaoForm, unlikeTorchao } from './serialize/torchao-form.ts';
