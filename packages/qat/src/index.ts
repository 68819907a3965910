// @ao/qat: quantization-aware training, and adapters of low rank over weights of any kind.
export {
  FakeQuantizeConfig,
  type FakeQuantizeConfigBase,
  type Float8FakeQuantizeConfig,
  float8FakeQuantize,
  type Int4WeightFakeQuantizeConfig,
  type IntxFakeQuantizeConfig,
  type IntxFakeQuantizeOptions,
  int4WeightFakeQuantize,
  intxFakeQuantize,
  type MXFakeQuantizeConfig,
  mxFakeQuantize,
  type NVFP4FakeQuantizeConfig,
  nvfp4FakeQuantize,
} from './config/fake-quantize.ts';
export {
  FromIntXQuantizationAwareTrainingConfig,
  IntXQuantizationAwareTrainingConfig,
  type QATConfig,
  type QATOptions,
} from './config/qat.ts';
export { type FakeQuantizer, fakeQuantize } from './fake-quantize/fake-quantizer.ts';
export { fakeQuantizerOf } from './fake-quantize/from-config.ts';
export { fakeQuantizedLinear, type LinearScheme } from './fake-quantized-linear.ts';
export { type FakeQuantizedAttrs, type FakeQuantizedTensor, fakeQuantizedKind } from './fake-quantized-tensor.ts';
export * from './lora/index.ts';
export { enableFakeQuant, FakeQuantizedEmbedding, FakeQuantizedLinear } from './modules.ts';
export * from './parq/index.ts';
export { qat } from './qat.ts';
export { initializeFakeQuantizers } from './range-learning.ts';
export {
  type ConvertedModel,
  convertFromQat,
  type FloatModel,
  type PreparedModel,
  prepareForQat,
} from './stages.ts';
