// The int4 schemes with float zero points, on Int4Tensor: torchao's row formula (default), tinygemm's, or HQQ.
import {
  cast,
  chooseQparamsAffineTinygemm,
  chooseQparamsAndQuantizeAffineHqq,
  contiguous,
  type Dense,
  type DType,
  type Entry,
  type Extension,
  int8,
  int32,
  packInt4,
  quantizeAffineTinygemm,
  quantizeInt4,
  sub,
  type Tensor,
  transpose,
} from '@ao/core';
import {
  type Int4WeightOnlyConfig,
  int4WeightOnlySpec,
  type PrototypeInt4WeightOnlyConfig,
  prototypeInt4WeightOnlySpec,
} from '../config/int4-weight-only.ts';
import { type Activation, member } from '../config/names.ts';
import { type Int4Tensor, int4Kind, int4KindEntries } from '../kinds/int4-tensor.ts';
import { byGroups } from '../kinds/short-blocks.ts';
import { ofStacks } from '../quantize/of-stacks.ts';
import { checkMatrix, schemeEntries, type TensorPlan, type TensorProblem, type WeightInfo } from '../quantize/trait.ts';

export type Int4Algorithm = 'row' | 'tinygemm' | 'hqq';

const flip = (t: Tensor): Tensor => contiguous(transpose(t, 0, 1));

interface Parts {
  readonly qdata: Tensor;
  readonly scale: Tensor;
  readonly zero_point: Tensor;
}

/** From uint8 codes 0..15 [N, K] and parameters [N, K / g]. */
function partsOf(codes: Tensor, scale: Tensor, zero: Tensor, dtype: DType): Parts {
  const turned = (t: Tensor): Tensor => flip(cast(t, dtype));
  return { qdata: packInt4(cast(sub(cast(codes, int32), 8), int8)), scale: turned(scale), zero_point: turned(zero) };
}

const algorithms: Record<Int4Algorithm, (w: Dense, group: number) => Parts> = {
  row: (w, group) => {
    const [qdata, scale, zero_point] = quantizeInt4(w, group);
    return { qdata, scale, zero_point };
  },
  tinygemm: (w, group) => {
    const options = { eps: 1e-6, keepdim: true };
    const [scale, zero] = chooseQparamsAffineTinygemm(w, 'ASYMMETRIC', [1, group], 'uint4', options);
    return partsOf(quantizeAffineTinygemm(w, [1, group], scale, zero, 'uint4'), scale, zero, w.dtype);
  },
  hqq: (w, group) => partsOf(...chooseQparamsAndQuantizeAffineHqq(w, 4, group), w.dtype),
};

/** With a short last group by itself; scales [groups, N] are joined as [N, groups]. */
function partsByGroups(weight: Dense, groupSize: number, algorithm: (w: Dense, group: number) => Parts): Parts {
  if ((weight.shape[1] as number) % groupSize === 0) return algorithm(weight, groupSize);
  const [qdata, scale, zero] = byGroups(weight, groupSize, (w, group) => {
    const { qdata: codes, scale: s, zero_point: z } = algorithm(w as Dense, group);
    return [codes, flip(s), flip(z)] as const;
  });
  return { qdata, scale: flip(scale), zero_point: flip(zero) };
}

/** An Int4Tensor [N, K] in groups of `groupSize` columns. */
export function int4FromHp(
  weight: Dense,
  groupSize: number,
  algorithm: Int4Algorithm = 'row',
  activation: Activation = 'exact',
  tilePacked = false,
): Int4Tensor {
  const attrs = {
    blockSize: [1, groupSize],
    activationDtype: 'bfloat16',
    activation,
    ...(tilePacked && { tilePacked }),
  };
  const parts = partsByGroups(weight, groupSize, algorithms[algorithm]);
  return int4Kind.make({ ...parts }, attrs, weight.shape, weight.dtype);
}

function planOf(
  info: WeightInfo,
  scheme: string,
  groupSize: number,
  algorithm: Int4Algorithm,
  activation: Activation,
  tilePacked = false,
): TensorPlan | TensorProblem {
  const problem = checkMatrix(info, null, [], '');
  if (problem !== undefined) return problem;
  const [n, k] = info.shape as [number, number];
  if (k % 2 !== 0)
    return { problem: `${k} columns do not pair up, and int4 has two codes to a byte`, fix: 'use intxWeightOnly' };
  const itemsize = info.dtype === 'float32' ? 4 : 2;
  return {
    scheme,
    bits: 4,
    bytes: (n * k) / 2 + 2 * itemsize * n * Math.ceil(k / groupSize),
    activation,
    quantize: (weight) => int4FromHp(weight, groupSize, algorithm, activation, tilePacked),
  };
}

function int4Plan(config: Int4WeightOnlyConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const { groupSize, activation, int4PackingFormat, int4ChooseQparamsAlgorithm } = config;
  const format = member(int4PackingFormat);
  const tilePacked = format === 'TILE_PACKED_TO_4D';
  if (!tilePacked && format !== 'PLAIN') {
    return {
      problem: `int4PackingFormat '${int4PackingFormat}' is a layout of other hardware`,
      fix: 'leave it out: the weight is kept as PLAIN, and prepare(model) packs it for this machine',
    };
  }
  if (tilePacked && info.dtype !== 'bfloat16') {
    return {
      problem: `int4PackingFormat '${int4PackingFormat}' keeps bfloat16 scales, the weight is ${info.dtype}`,
      fix: 'convert the model to bfloat16 first, or leave int4PackingFormat out',
    };
  }
  // torchao's PLAIN finds parameters by rows; tiles are made for tinygemm and have its parameters
  const hqq = member(int4ChooseQparamsAlgorithm) === 'HQQ';
  const algorithm = hqq ? 'hqq' : tilePacked ? 'tinygemm' : 'row';
  return planOf(info, int4WeightOnlySpec.scheme(config), groupSize, algorithm, activation, tilePacked);
}

const noTiles = ({ int4PackingFormat }: Int4WeightOnlyConfig): TensorProblem | undefined =>
  member(int4PackingFormat) === 'TILE_PACKED_TO_4D'
    ? { problem: 'tiles hold one matrix, not a stack of experts', fix: 'leave int4PackingFormat out' }
    : undefined;

function prototypePlan(config: PrototypeInt4WeightOnlyConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const algorithm = member(config.int4ChooseQparamsAlgorithm) === 'HQQ' ? 'hqq' : 'tinygemm';
  return planOf(info, prototypeInt4WeightOnlySpec.scheme(config), config.groupSize, algorithm, config.activation);
}

const makeEntries = (): readonly Entry[] => [
  ...int4KindEntries(),
  ...schemeEntries(int4WeightOnlySpec, ofStacks(int4Plan, noTiles)),
  ...schemeEntries(prototypeInt4WeightOnlySpec, ofStacks(prototypePlan)),
];

const entries = /*@__PURE__*/ makeEntries();

/** int4WeightOnly and prototypeInt4WeightOnly as an extension: `createRuntime({ use: [int4()] })`. */
export const int4 = (): Extension => ({ name: '@ao/quantization/int4', entries });
