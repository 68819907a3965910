// GGUF's quantized types as a weight-only scheme: rounded as llama.cpp stores them (whole scales of super-blocks, float16 factors), in
// the kinds that reading a GGUF gives: offsets and up to 4 bits Int4Tensor, 5 bits CodedTensor, without offsets IntxUnpackedToInt8Tensor,
// 8 bits Int8Tensor. Scales of blocks are float32 there, products of the two that a super-block stores.
import {
  cast,
  contiguous,
  type Dense,
  type Entry,
  type Extension,
  float32,
  int8,
  packedBytes,
  packInt4,
  scope,
  type Tensor,
  transpose,
  zeros,
} from '@ao/core';
import {
  type GGUFWeightOnlyConfig,
  type GgufFormat,
  ggufFormatOf,
  ggufWeightOnlySpec,
} from '../config/gguf-weight-only.ts';
import type { IntxDType } from '../config/names.ts';
import { K_QUANTS, SUPER_BLOCK } from '../k-quants/formats.ts';
import { type BlockQuantized, quantizeBlockRows, quantizeKRows } from '../k-quants/quantize-rows.ts';
import { codedKind, codedKindEntries } from '../kinds/coded-tensor.ts';
import { int4Kind, int4KindEntries } from '../kinds/int4-tensor.ts';
import { int8KindEntries } from '../kinds/int8-linear.ts';
import { int8Kind } from '../kinds/int8-tensor.ts';
import { intxKind, intxKindEntries } from '../kinds/intx-tensor.ts';
import { checkMatrix, schemeEntries, type TensorPlan, type TensorProblem, type WeightInfo } from '../quantize/trait.ts';

interface Form {
  readonly bits: number;
  readonly block: number;
  readonly offset: boolean;
  /** Columns of a weight are a multiple of it. */
  readonly unit: number;
}

function formOf(format: GgufFormat): Form {
  if (format === 'q4_0' || format === 'q8_0')
    return { bits: format === 'q8_0' ? 8 : 4, block: 32, offset: false, unit: 32 };
  const { bits, block, minima } = K_QUANTS[format];
  return { bits, block, offset: minima, unit: SUPER_BLOCK };
}

const rounded = (w: Tensor, format: GgufFormat): BlockQuantized =>
  format === 'q4_0' || format === 'q8_0' ? quantizeBlockRows(w, format === 'q8_0' ? 8 : 4) : quantizeKRows(w, format);

/** A matrix [N, K] by a type of GGUF; 256 divides K for K-quants, 32 for the others. */
export function ggufFromHp(weight: Dense, format: GgufFormat): Tensor {
  return scope(() => {
    const { bits, block } = formOf(format);
    const { codes, scale, offset } = rounded(cast(weight, float32), format);
    const qdata = cast(codes, int8);
    const { shape, dtype, device, rt } = weight;
    const blockSize = [1, block];
    if (offset !== undefined && bits > 4)
      return codedKind.make(
        { qdata, scale, zero_point: offset },
        { bits, groupSize: block, table: null },
        shape,
        dtype,
      );
    if (offset !== undefined) {
      const flip = (t: Tensor): Tensor => contiguous(transpose(t, 0, 1));
      const parts = { qdata: packInt4(qdata), scale: flip(scale), zero_point: flip(offset) };
      return int4Kind.make(parts, { blockSize, activationDtype: 'bfloat16', activation: 'exact' }, shape, dtype);
    }
    if (bits === 8) {
      const attrs = { blockSize, actQuantKwargs: null, reduceRange: false, activation: 'exact' } as const;
      return int8Kind.make({ qdata, scale }, attrs, shape, dtype);
    }
    const attrs = {
      targetDtype: `int${bits}` as IntxDType,
      blockSize,
      activationQuantization: null,
      activation: 'exact',
      symmetric: true,
    } as const;
    const zero_point = zeros(rt, scale.shape, { dtype: int8, device });
    return intxKind.make({ qdata, scale, zero_point }, attrs, shape, dtype);
  });
}

function plan(config: GGUFWeightOnlyConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const format = ggufFormatOf(config);
  if (format === undefined) {
    return {
      problem: `llama.cpp has no K-quant of ${config.dtype} with ${config.nBlocksPerSuperblock} blocks to a super-block`,
      fix: "name the type: ggufWeightOnly({ format: 'q4_K' })",
    };
  }
  const { bits, block, offset, unit } = formOf(format);
  const problem = checkMatrix(info, unit, [], "use format 'q8_0' or 'q4_0', whose blocks are of 32, or intxWeightOnly");
  if (problem !== undefined) return problem;
  const [n, k] = info.shape as [number, number];
  return {
    scheme: ggufWeightOnlySpec.scheme(config),
    bits,
    bytes: n * packedBytes(k, offset && bits < 4 ? 4 : bits) + (offset ? 8 : 4) * n * (k / block),
    activation: 'exact',
    quantize: (weight) => ggufFromHp(weight, format),
  };
}

const makeEntries = (): readonly Entry[] => [
  ...int4KindEntries(),
  ...int8KindEntries(),
  ...intxKindEntries(),
  ...codedKindEntries(),
  ...schemeEntries(ggufWeightOnlySpec, plan),
];

const entries = /*@__PURE__*/ makeEntries();

/** ggufWeightOnly as an extension. */
export const gguf = (): Extension => ({ name: '@ao/quantization/gguf', entries });
