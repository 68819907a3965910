// GGUFWeightOnlyConfig: weights as llama.cpp's quantized types hold them. torchao's fields name a K-quant by its bits (uint4 = q4_K);
// the types of plain blocks are ours, under `ao`.
import { K_QUANTS, type KQuantName, SUPER_BLOCK } from '../k-quants/formats.ts';
import type { UintDType } from './codebook.ts';
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { configError, dtypeName, type Field, int, oneOf, optional } from './field.ts';

/** Types of blocks of 32 without super-blocks. */
export type GgufBlockFormat = 'q4_0' | 'q8_0';
export type GgufFormat = KQuantName | GgufBlockFormat;

export interface GGUFWeightOnlyConfig {
  readonly type: 'GGUFWeightOnlyConfig';
  readonly dtype: UintDType;
  /** Blocks of a super-block of 256 values: 8 of uint4 and uint5, 16 of uint2, uint3 and uint6. */
  readonly nBlocksPerSuperblock: number;
  /** A type without super-blocks; null: the K-quant of dtype. */
  readonly blockFormat: GgufBlockFormat | null;
}

export interface GgufWeightOnlyOptions {
  /** The type by its name; default q4_K. */
  format?: GgufFormat;
  /** torchao's way to name a K-quant. */
  dtype?: UintDType;
  nBlocksPerSuperblock?: number;
  version?: number;
}

const UINTS = ['uint1', 'uint2', 'uint3', 'uint4', 'uint5', 'uint6', 'uint7', 'uint8'] as const;
const uint: Field<UintDType> = /*@__PURE__*/ dtypeName<UintDType>(UINTS);
const blockFormat = /*@__PURE__*/ optional(/*@__PURE__*/ oneOf('q4_0', 'q8_0'));

/** The type that a config means; undefined where llama.cpp has none of these bits and blocks. */
export function ggufFormatOf(c: GGUFWeightOnlyConfig): GgufFormat | undefined {
  if (c.blockFormat !== null) return c.blockFormat;
  const name = `q${c.dtype.slice(4)}_K` as KQuantName;
  const known = (K_QUANTS as Partial<typeof K_QUANTS>)[name];
  return known !== undefined && SUPER_BLOCK / known.block === c.nBlocksPerSuperblock ? name : undefined;
}

export const ggufWeightOnlySpec: ConfigSpec<GGUFWeightOnlyConfig> = /*@__PURE__*/ configSpec({
  type: 'GGUFWeightOnlyConfig',
  version: 1,
  fields: {
    dtype: /*@__PURE__*/ field<UintDType>(uint, 'uint4'),
    nBlocksPerSuperblock: /*@__PURE__*/ field(int, 8),
  },
  ao: { blockFormat: /*@__PURE__*/ field<GgufBlockFormat | null>(blockFormat as Field<GgufBlockFormat | null>, null) },
  scheme: (c) => `gguf-${ggufFormatOf(c) ?? `${c.dtype}x${c.nBlocksPerSuperblock}`}`,
});

/** `quantize_(model, ggufWeightOnly({ format: 'q4_K' }))`: q2_K to q6_K, q4_0 or q8_0. */
export function ggufWeightOnly(options: GgufWeightOnlyOptions = {}): GGUFWeightOnlyConfig {
  const { format, ...rest } = options;
  if (format === undefined) return makeConfig(ggufWeightOnlySpec, rest);
  if (rest.dtype !== undefined || rest.nBlocksPerSuperblock !== undefined)
    throw configError('ggufWeightOnly: format says dtype and nBlocksPerSuperblock', 'give either');
  const k = (K_QUANTS as Partial<Record<GgufFormat, (typeof K_QUANTS)[KQuantName]>>)[format];
  const fields =
    k === undefined
      ? { dtype: format === 'q8_0' ? 'uint8' : 'uint4', blockFormat: format }
      : { dtype: `uint${k.bits}`, nBlocksPerSuperblock: SUPER_BLOCK / k.block };
  return makeConfig(ggufWeightOnlySpec, { ...rest, ...fields });
}
