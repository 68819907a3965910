// Weights of 1 to 8 bits with integer zero points on IntxUnpackedToInt8Tensor, and the weight-only scheme.
import {
  cast,
  chooseQparamsAffine,
  chooseQparamsAndQuantizeScaleOnlyHqq,
  type Dense,
  dtypeByName,
  dtypeRange,
  type Entry,
  type Extension,
  int8,
  packedBytes,
  quantizeAffine,
  type Tensor,
  zeros,
} from '@ao/core';
import type { PerAxis, PerGroup } from '../config/granularity.ts';
import { type IntxWeightOnlyConfig, intxWeightOnlySpec, type ScaleDType } from '../config/intx-weight-only.ts';
import { type Activation, type IntxDType, type MappingType, member } from '../config/names.ts';
import { type IntxUnpackedToInt8Tensor, intxKind, intxKindEntries } from '../kinds/intx-tensor.ts';
import { byGroups } from '../kinds/short-blocks.ts';
import { ofStacks } from '../quantize/of-stacks.ts';
import { checkMatrix, schemeEntries, type TensorPlan, type TensorProblem, type WeightInfo } from '../quantize/trait.ts';

export interface IntxFromHpOptions {
  readonly targetDtype: IntxDType;
  /** Columns that share a scale. */
  readonly groupSize: number;
  readonly mappingType: MappingType;
  readonly hqqScaleOnly?: boolean;
  readonly scaleDtype?: ScaleDType | null;
  readonly activationQuantization?: 'int8_asym_per_token' | null;
  readonly activation?: Activation;
}

/** Whole groups of w [N, K]: codes, scales and zero points. */
function groupsFromHp(w: Tensor, group: number, o: IntxFromHpOptions): readonly [Tensor, Tensor, Tensor] {
  const block = [1, group];
  const range = dtypeRange('intx', o.targetDtype);
  let qdata: Tensor | undefined;
  let scale: Tensor;
  let zeroPoint: Tensor;
  if (o.hqqScaleOnly === true) {
    [qdata, scale] = chooseQparamsAndQuantizeScaleOnlyHqq(w, group, range);
    zeroPoint = zeros(w.rt, scale.shape, { dtype: int8, device: w.device });
  } else {
    const options = { ...range, zeroPointDtype: int8, keepdim: true };
    [scale, zeroPoint] = chooseQparamsAffine(w, o.mappingType, block, 'int8', options);
  }
  if (o.scaleDtype != null && o.scaleDtype !== w.dtype.name) {
    scale = cast(scale, dtypeByName(o.scaleDtype));
    qdata = undefined;
  }
  return [qdata ?? quantizeAffine(w, block, scale, zeroPoint, 'int8', range), scale, zeroPoint];
}

/** torchao's IntxUnpackedToInt8Tensor.from_hp; with another scale dtype the codes are found again from the cast scales. */
export function intxFromHp(weight: Dense, o: IntxFromHpOptions): IntxUnpackedToInt8Tensor {
  const [qdata, scale, zeroPoint] = byGroups(weight, o.groupSize, (w, group) => groupsFromHp(w, group, o));
  const attrs = {
    targetDtype: o.targetDtype,
    blockSize: [1, o.groupSize],
    activationQuantization: o.activationQuantization ?? null,
    activation: o.activation ?? 'exact',
    symmetric: o.hqqScaleOnly === true || o.mappingType !== 'ASYMMETRIC',
  };
  return intxKind.make({ qdata, scale, zero_point: zeroPoint }, attrs, weight.shape, weight.dtype);
}

/** What both intx configs come down to. */
export interface IntxScheme {
  readonly scheme: string;
  readonly dtype: IntxDType;
  readonly granularity: PerAxis | PerGroup;
  readonly mapping: MappingType;
  readonly algorithm: string;
  readonly scaleDtype: ScaleDType | null;
  readonly activation: Activation;
  readonly activationQuantization: 'int8_asym_per_token' | null;
}

export function intxPlan(s: IntxScheme, info: WeightInfo): TensorPlan | TensorProblem {
  const grouped = s.granularity.type === 'PerGroup' ? s.granularity.groupSize : null;
  const problem = checkMatrix(info, null, [], '');
  if (problem !== undefined) return problem;
  const [n, k] = info.shape as [number, number];
  const bits = Number(s.dtype.slice(3));
  const groupSize = grouped ?? k;
  const hqqScaleOnly = member(s.algorithm) === 'HQQ_SCALE_ONLY';
  const symmetric = hqqScaleOnly || s.mapping !== 'ASYMMETRIC';
  const scaleBytes = (s.scaleDtype ?? info.dtype) === 'float32' ? 4 : 2;
  const empty = bits === 1 && s.mapping === 'SYMMETRIC' && !hqqScaleOnly;
  return {
    scheme: s.scheme,
    bits,
    bytes: n * packedBytes(k, bits) + n * Math.ceil(k / groupSize) * (scaleBytes + (symmetric ? 0 : 1)),
    activation: s.activationQuantization === null ? s.activation : 'int8-token-asym',
    ...(empty && { warning: "symmetric int1 rounds every weight to 0; use mappingType: 'ASYMMETRIC'" }),
    quantize: (weight) =>
      intxFromHp(weight, {
        targetDtype: s.dtype,
        groupSize,
        mappingType: s.mapping,
        hqqScaleOnly,
        scaleDtype: s.scaleDtype,
        activationQuantization: s.activationQuantization,
        activation: s.activation,
      }),
  };
}

const weightOnly = (config: IntxWeightOnlyConfig, info: WeightInfo): TensorPlan | TensorProblem =>
  intxPlan(
    {
      scheme: intxWeightOnlySpec.scheme(config),
      dtype: config.weightDtype,
      granularity: config.granularity,
      mapping: config.mappingType,
      algorithm: config.intxChooseQparamsAlgorithm,
      scaleDtype: config.scaleDtype,
      activation: config.activation,
      activationQuantization: null,
    },
    info,
  );

const makeEntries = (): readonly Entry[] => [
  ...intxKindEntries(),
  ...schemeEntries(intxWeightOnlySpec, ofStacks(weightOnly)),
];

const entries = /*@__PURE__*/ makeEntries();

/** intxWeightOnly as an extension: `createRuntime({ use: [intx()] })`. */
export const intx = (): Extension => ({ name: '@ao/quantization/intx', entries });
