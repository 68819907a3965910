// @ao/quantization: quantize_, configs, tensor kinds and their files, with torchao's names and numbers.
export {
  configFromDict,
  configFromJson,
  configToDict,
  configToJson,
  configToJsonTree,
  schemeName,
} from './config/codec.ts';
export { type AnyConfigSpec, type AoConfig, type ConfigSpec, configSpec, field, makeConfig, type Renamed } from './config/config.ts';
export * as fields from './config/field.ts';
export { type FqnEntries, type FqnToConfig, fqnToConfig, type FqnToConfigInput, fqnToConfigSpec } from './config/fqn-to-config.ts';
export * from './config/granularity.ts';
export * from './config/int4-weight-only.ts';
export {
  type Int8DynamicActivationInt8WeightConfig,
  int8DynamicActivationInt8Weight,
  type Int8DynamicActivationInt8WeightOptions,
  int8DynamicActivationInt8WeightSpec,
  type Int8Granularity,
  type Int8GranularityPair,
} from './config/int8-dynamic-activation-int8-weight.ts';
export * from './config/int8-dynamic-activation-intx-weight.ts';
export * from './config/int8-static-activation-int8-weight.ts';
export * from './config/int8-weight-only.ts';
export {
  type IntxWeightOnlyConfig,
  intxWeightOnly,
  type IntxWeightOnlyOptions,
  intxWeightOnlySpec,
  type ScaleDType,
} from './config/intx-weight-only.ts';
export { type ForeignConfig, knownSpecs } from './config/known.ts';
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
export { Float, type Json, pythonFloat, pythonJson, type PythonJsonOptions } from './config/python-json.ts';
export { parseScheme, schemeHelp } from './config/scheme.ts';
export type { QuantizeTensorToInt8Kwargs } from './kinds/attributes.ts';
export { type Int4Attrs, int4Kind, type Int4Tensor } from './kinds/int4-tensor.ts';
export { quantizeActivation } from './kinds/int8-linear.ts';
export { type Int8Attrs, int8Kind, type Int8Tensor } from './kinds/int8-tensor.ts';
export { type IntxAttrs, intxKind, type IntxUnpackedToInt8Tensor } from './kinds/intx-tensor.ts';
export { computeError } from './quantize/compute-error.ts';
export { dequantize_, type DequantizeModelOptions } from './quantize/dequantize.ts';
export { modelBytes, tensorBytes } from './quantize/bytes.ts';
export { planTensor, quantizeTensor } from './quantize/preflight.ts';
export { quantize_, type QuantizeOptions } from './quantize/quantize.ts';
export { formatReport, type QuantizeReport, type QuantizeRow } from './quantize/report.ts';
export { type FilterFn, isLinear, selectWeights } from './quantize/select.ts';
export { isProblem, planTrait, specTrait, type TensorPlan, type TensorProblem, type WeightInfo } from './quantize/trait.ts';
export { fqnMatchesFqnConfig, fqnRules, matcher, orderedRules, parseRule, type Rule, type Rules, type RuleSet } from './rules/rules.ts';
export { quantization } from './schemes/all.ts';
export { int4, int4FromHp } from './schemes/int4.ts';
export { int8, int8FromHp } from './schemes/int8.ts';
export { intx, intxFromHp } from './schemes/intx.ts';
export { readStateDict, writeStateDict } from './serialize/checkpoint.ts';
export {
  fileNamesOf,
  flattenTensorStateDict,
  type FlatStateDict,
  isMetadataTorchao,
  unflattenTensor,
  unflattenTensorStateDict,
  type UnflatStateDict,
} from './serialize/state-dict.ts';
