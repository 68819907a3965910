// Weights of codebooks on CodebookTensor: k-means of the whole tensor, scaled by groups or not, and of runs of rows or columns.
import {
  cast,
  type Dense,
  div,
  type Entry,
  type Extension,
  float32,
  packedBytes,
  reshape,
  type Tensor,
} from '@ao/core';
import {
  type CodebookWeightOnlyConfig,
  codebookWeightOnlySpec,
  type GroupwiseLutWeightConfig,
  groupwiseLutWeightSpec,
} from '../config/codebook.ts';
import { absmaxScale, kMeans } from '../formats/k-means.ts';
import {
  type CodebookTensor,
  codebookKind,
  codebookKindEntries,
  fromGroups,
  toGroups,
} from '../kinds/codebook-tensor.ts';
import { byGroups, spread } from '../kinds/short-blocks.ts';
import { checkMatrix, schemeEntries, type TensorPlan, type TensorProblem, type WeightInfo } from '../quantize/trait.ts';

export interface CodebookFromHpOptions {
  readonly bits: number;
  /** Rows and columns that share a codebook; the whole tensor unless given. -1: all of them. */
  readonly lutBlock?: readonly number[];
  readonly scaleBlockSize?: number | null;
}

const scalesOf = (w: Tensor, size: number): Tensor =>
  byGroups(w, size, (x, g) => {
    const [N, K] = x.shape as [number, number];
    return [reshape(absmaxScale(reshape(x, [N, K / g, g])), [N, K / g])] as const;
  })[0];

/** k-means codes and codebooks of a matrix; with scaleBlockSize of the values over the largest of their group. */
export function codebookFromHp(weight: Dense, o: CodebookFromHpOptions): CodebookTensor {
  const { bits, scaleBlockSize = null } = o;
  const lutBlock = weight.shape.map((n, i) => {
    const block = o.lutBlock?.[i] ?? -1;
    return block === -1 ? n : Math.min(block, n);
  });
  const w = cast(weight, float32);
  const scale = scaleBlockSize === null ? undefined : scalesOf(w, scaleBlockSize);
  const x = scale === undefined ? w : div(w, spread(scale, [1, scaleBlockSize as number], w.shape));
  const [codebook, codes] = kMeans(toGroups(x, lutBlock), bits);
  const parts = {
    codes: fromGroups(codes, lutBlock, weight.shape),
    codebook,
    ...(scale !== undefined && { scale }),
  };
  return codebookKind.make(parts, { bits, lutBlock, scaleBlockSize }, weight.shape, weight.dtype);
}

function planOf(info: WeightInfo, scheme: string, options: CodebookFromHpOptions): TensorPlan | TensorProblem {
  const problem = checkMatrix(info, null, [], '');
  if (problem !== undefined) return problem;
  const [n, k] = info.shape as [number, number];
  const { bits, lutBlock = [-1, -1], scaleBlockSize = null } = options;
  const books = lutBlock.reduce((b, size, i) => b * (size === -1 ? 1 : Math.ceil((info.shape[i] as number) / size)), 1);
  const scales = scaleBlockSize === null ? 0 : n * Math.ceil(k / scaleBlockSize);
  return {
    scheme,
    bits,
    // one codebook is packed, with a scale for each row or group; several keep a code a byte
    bytes: books === 1 ? n * packedBytes(k, bits) + 4 * (2 ** bits + (scales || n)) : n * k + 4 * books * 2 ** bits,
    activation: 'exact',
    quantize: (weight) => codebookFromHp(weight, options),
  };
}

const weightOnly = (config: CodebookWeightOnlyConfig, info: WeightInfo): TensorPlan | TensorProblem =>
  planOf(info, codebookWeightOnlySpec.scheme(config), {
    bits: Number(config.dtype.slice(4)),
    scaleBlockSize: config.scaleBlockSize,
  });

function lut(config: GroupwiseLutWeightConfig, info: WeightInfo): TensorPlan | TensorProblem {
  if (config.useQdqReference) {
    return { problem: 'useQdqReference asks for the dequantized weight', fix: 'leave it out, and call dequantize_()' };
  }
  const bits = Number(config.codeDtype.replace(/\D/g, ''));
  return planOf(info, groupwiseLutWeightSpec.scheme(config), { bits, lutBlock: config.lutBlockShape });
}

const makeEntries = (): readonly Entry[] => [
  ...codebookKindEntries(),
  ...schemeEntries(codebookWeightOnlySpec, weightOnly),
  ...schemeEntries(groupwiseLutWeightSpec, lut),
];

const entries = /*@__PURE__*/ makeEntries();

/** codebookWeightOnly and groupwiseLutWeight as an extension. */
export const codebook = (): Extension => ({ name: '@ao/quantization/codebook', entries });
