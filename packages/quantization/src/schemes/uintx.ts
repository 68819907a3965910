// Weights of 1 to 8 bits in groups on UIntxTensor, as torchao's UIntxBitPackedTensor quantizes them: HQQ with float zero points, or
// for 8 bits symmetric int8 with scales of at least 1e-5.
import {
  chooseQparamsAffine,
  chooseQparamsAndQuantizeAffineHqq,
  type Dense,
  type Entry,
  type Extension,
  float16,
  quantizeAffine,
  type Tensor,
} from '@ao/core';
import {
  type OldUIntxWeightOnlyConfig,
  oldUintxWeightOnlySpec,
  type UIntxWeightOnlyConfig,
  uintxWeightOnlySpec,
} from '../config/uintx-weight-only.ts';
import { byGroups } from '../kinds/short-blocks.ts';
import { type UIntxTensor, uintxKind, uintxKindEntries } from '../kinds/uintx-tensor.ts';
import { checkMatrix, schemeEntries, type TensorPlan, type TensorProblem, type WeightInfo } from '../quantize/trait.ts';

function symmetric(x: Tensor, groupSize: number): [Tensor, Tensor] {
  const block = [1, groupSize];
  const [scale, zero] = chooseQparamsAffine(x, 'SYMMETRIC', block, 'int8', { eps: 1e-5, keepdim: true });
  return [quantizeAffine(x, block, scale, zero, 'int8'), scale];
}

const asymmetric =
  (bitWidth: number) =>
  (x: Tensor, groupSize: number): [Tensor, Tensor, Tensor] => {
    const block = [1, groupSize];
    const code = `uint${bitWidth}`;
    const [scale, zero] = chooseQparamsAffine(x, 'ASYMMETRIC', block, code, { eps: 2 ** -23, keepdim: true });
    return [quantizeAffine(x, block, scale, zero, code), scale, zero];
  };

export type UIntxAlgorithm = 'hqq' | 'affine';

/** groupSize null: rows. The last group may be short. 'affine': integer zero points from the range of a group. */
export function uintxFromHp(
  weight: Dense,
  bitWidth: number,
  groupSize: number | null,
  algorithm: UIntxAlgorithm = 'hqq',
): UIntxTensor {
  const size = groupSize ?? (weight.shape[1] as number);
  const attrs = { bitWidth, groupSize: size };
  if (bitWidth === 8 && algorithm === 'hqq') {
    const [qdata, scale] = byGroups(weight, size, symmetric);
    return uintxKind.make({ qdata, scale }, attrs, weight.shape, weight.dtype);
  }
  const options = { rawOutput: true, computeDtype: float16 };
  const hqq = (x: Tensor, g: number): [Tensor, Tensor, Tensor] =>
    chooseQparamsAndQuantizeAffineHqq(x, bitWidth, g, options);
  const [qdata, scale, zero] = byGroups(weight, size, algorithm === 'hqq' ? hqq : asymmetric(bitWidth));
  return uintxKind.make({ qdata, scale, zero_point: zero }, attrs, weight.shape, weight.dtype);
}

function planOf(
  info: WeightInfo,
  scheme: string,
  bitWidth: number,
  groupSize: number | null,
  algorithm: UIntxAlgorithm,
): TensorPlan | TensorProblem {
  const problem = checkMatrix(info, null, [], '');
  if (problem !== undefined) return problem;
  const [n, k] = info.shape as [number, number];
  const itemsize = info.dtype === 'float32' ? 4 : 2;
  const perGroup = algorithm === 'affine' ? itemsize + 4 : bitWidth < 8 ? 4 : itemsize;
  return {
    scheme,
    bits: bitWidth,
    bytes: n * Math.ceil((k * bitWidth) / 8) + n * Math.ceil(k / (groupSize ?? k)) * perGroup,
    activation: 'exact',
    quantize: (weight) => uintxFromHp(weight, bitWidth, groupSize, algorithm),
  };
}

const weightOnly = (config: UIntxWeightOnlyConfig, info: WeightInfo): TensorPlan | TensorProblem =>
  planOf(info, uintxWeightOnlySpec.scheme(config), config.bitWidth, config.groupSize, 'hqq');

const old = (config: OldUIntxWeightOnlyConfig, info: WeightInfo): TensorPlan | TensorProblem =>
  planOf(
    info,
    oldUintxWeightOnlySpec.scheme(config),
    Number(config.dtype.slice(4)),
    config.groupSize,
    config.useHqq ? 'hqq' : 'affine',
  );

const makeEntries = (): readonly Entry[] => [
  ...uintxKindEntries(),
  ...schemeEntries(uintxWeightOnlySpec, weightOnly),
  ...schemeEntries(oldUintxWeightOnlySpec, old),
];

const entries = /*@__PURE__*/ makeEntries();

/** uintxWeightOnly as an extension. */
export const uintx = (): Extension => ({ name: '@ao/quantization/uintx', entries });
