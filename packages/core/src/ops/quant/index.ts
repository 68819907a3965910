// Quantization primitives with torchao's names and numbers.
export { packBits, packedBytes, unpackBits } from './bits.ts';
export { blockGrid, blockRun, type Grid } from './blocks.ts';
export * from './choose.ts';
export {
  type Dequantize,
  type DequantizeOptions,
  dequantizeAffine,
  dequantizeAffineNoZeroPoint,
  dequantizeAffineTinygemm,
  type FakeQuantize,
  type FakeQuantizeOptions,
  fakeQuantizeAffine,
} from './dequantize.ts';
export * from './exmy.ts';
export { type FakeGroups, fakeQuantizeGroups, fakeQuantizeGroupsGrad } from './fake-groups.ts';
export { fakeQuantizeInt4, fakeQuantizeInt4Grad } from './fake-int4.ts';
export * from './float8.ts';
export * from './floatx.ts';
export * from './hqq.ts';
export { intMm } from './int-mm.ts';
export * from './int4.ts';
export { checkedRange, dtypeRange, midPoint, type QuantDType, type QuantRange } from './quant-range.ts';
export {
  type Quantize,
  quantizeAffine,
  quantizeAffineNoZeroPoint,
  quantizeAffineTinygemm,
  type RangeOptions,
  type ZeroPointForm,
} from './quantize.ts';
export { type ScaledMmOptions, scaledMm } from './scaled-mm.ts';
