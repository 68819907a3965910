// @ao/core: tensors, dtypes, ops, dispatch, capture, nn and the reference backend.
export { noGrad } from './autograd/grad-mode.ts';
export * from './backend.ts';
export { Plan } from './capture.ts';
export * from './create.ts';
export * from './dtype.ts';
export {
  bfloat16,
  bool,
  dtypeByName,
  dtypeBySafetensors,
  dtypes,
  float8_e4m3fn,
  float8_e4m3fnuz,
  float8_e5m2,
  float8_e5m2fnuz,
  float8_e8m0fnu,
  float16,
  float32,
  float64,
  int8,
  int32,
  int64,
  promoteTypes,
  resultType,
  uint8,
} from './dtypes/index.ts';
export * from './errors.ts';
export * from './extension.ts';
export { VERSION } from './identity.ts';
export * from './kind.ts';
export type { Log, LogMessage } from './log.ts';
export * from './nn/index.ts';
export * from './op.ts';
export * from './ops/index.ts';
export { type CodeRows, codeRowBytes, codeRowLength } from './ops/quant/code-rows.ts';
export * from './packed.ts';
export { philox } from './philox.ts';
export { packWeight, prepare } from './prepare.ts';
export { roundHalfEven } from './reference/elementwise.ts';
export { rawOf, rounding, store, storeRaw, valuesOf } from './reference/memory.ts';
export type { Coverage } from './registry.ts';
export { createRuntime, type Runtime, type RuntimeOptions } from './runtime.ts';
export { keep, scope } from './scope.ts';
export * from './serialize/index.ts';
export { Storage } from './storage.ts';
export { contiguousStrides, Dense, isDense, isTensor, numel, Tensor, Wrapped } from './tensor.ts';
export * from './trait.ts';
export * from './transfer.ts';
export { unpackedOf } from './unpack.ts';
