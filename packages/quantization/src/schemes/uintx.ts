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
import { type UIntxWeightOnlyConfig, uintxWeightOnlySpec } from '../config/uintx-weight-only.ts';
import { byGroups } from '../kinds/short-blocks.ts';
import { type UIntxTensor, uintxKind, uintxKindEntries } from '../kinds/uintx-tensor.ts';
import { checkMatrix, schemeEntries, type TensorPlan, type TensorProblem, type WeightInfo } from '../quantize/trait.ts';

function symmetric(x: Tensor, groupSize: number): [Tensor, Tensor] {
  const block = [1, groupSize];
  const [scale, zero] = chooseQparamsAffine(x, 'SYMMETRIC', block, 'int8', { eps: 1e-5, keepdim: true });
  return [quantizeAffine(x, block, scale, zero, 'int8'), scale];
}

/** groupSize null: rows. The last group may be short. */
export function uintxFromHp(weight: Dense, bitWidth: number, groupSize: number | null): UIntxTensor {
  const size = groupSize ?? (weight.shape[1] as number);
  const attrs = { bitWidth, groupSize: size };
  if (bitWidth === 8) {
    const [qdata, scale] = byGroups(weight, size, symmetric);
    return uintxKind.make({ qdata, scale }, attrs, weight.shape, weight.dtype);
  }
  const options = { rawOutput: true, computeDtype: float16 };
  const [qdata, scale, zero] = byGroups(weight, size, (x, g) =>
    chooseQparamsAndQuantizeAffineHqq(x, bitWidth, g, options),
  );
  return uintxKind.make({ qdata, scale, zero_point: zero }, attrs, weight.shape, weight.dtype);
}

function weightOnly(config: UIntxWeightOnlyConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const problem = checkMatrix(info, null, [], '');
  if (problem !== undefined) return problem;
  const [n, k] = info.shape as [number, number];
  const { bitWidth, groupSize } = config;
  const perGroup = bitWidth < 8 ? 4 : info.dtype === 'float32' ? 4 : 2;
  return {
    scheme: uintxWeightOnlySpec.scheme(config),
    bits: bitWidth,
    bytes: n * Math.ceil((k * bitWidth) / 8) + n * Math.ceil(k / (groupSize ?? k)) * perGroup,
    activation: 'exact',
    quantize: (weight) => uintxFromHp(weight, bitWidth, groupSize),
  };
}

const makeEntries = (): readonly Entry[] => [...uintxKindEntries(), ...schemeEntries(uintxWeightOnlySpec, weightOnly)];

const entries = /*@__PURE__*/ makeEntries();

/** uintxWeightOnly as an extension. */
export const uintx = (): Extension => ({ name: '@ao/quantization/uintx', entries });
