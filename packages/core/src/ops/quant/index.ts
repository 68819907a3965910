// Quantization primitives with torchao's names and numbers.
export type { MappingName } from './affine-numerics.ts';
export * from './choose.ts';
export {
  type Dequantize,
  dequantizeAffine,
  dequantizeAffineNoZeroPoint,
  dequantizeAffineTinygemm,
  type DequantizeOptions,
  type FakeQuantize,
  fakeQuantizeAffine,
  type FakeQuantizeOptions,
} from './dequantize.ts';
export * from './hqq.ts';
export * from './int4.ts';
export { intMm } from './int-mm.ts';
export { dtypeRange, midPoint, type QuantDType, type QuantRange } from './quant-range.ts';
export {
  type Quantize,
  quantizeAffine,
  quantizeAffineNoZeroPoint,
  quantizeAffineTinygemm,
  type RangeOptions,
  type ZeroPointForm,
} from './quantize.ts';
