// NF4WeightOnlyConfig: QLoRA's 4-bit normal floats in blocks of 64, whose scales are quantized to int8 in blocks of 256.
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { configError, int } from './field.ts';

export interface NF4WeightOnlyConfig {
  readonly type: 'NF4WeightOnlyConfig';
  readonly blockSize: number;
  readonly scalerBlockSize: number;
}

export interface NF4WeightOnlyOptions {
  /** Values of the flat weight that share a scale; even. */
  blockSize?: number;
  /** Scales that share a factor. */
  scalerBlockSize?: number;
  version?: number;
}

/** torchao writes no fields (its class is no dataclass); ours stand under `ao` where they differ from the defaults. */
export const nf4WeightOnlySpec: ConfigSpec<NF4WeightOnlyConfig> = /*@__PURE__*/ configSpec({
  type: 'NF4WeightOnlyConfig',
  version: 1,
  fields: {},
  ao: { blockSize: /*@__PURE__*/ field(int, 64), scalerBlockSize: /*@__PURE__*/ field(int, 256) },
  check: ({ type, blockSize, scalerBlockSize }) => {
    if (blockSize >= 2 && blockSize % 2 === 0 && scalerBlockSize >= 1) return;
    throw configError(
      `${type}: blocks of ${blockSize} values and ${scalerBlockSize} scales`,
      'use blockSize 64 and scalerBlockSize 256',
    );
  },
  scheme: ({ blockSize }) => `nf4wo${blockSize === 64 ? '' : `-${blockSize}`}`,
});

export function nf4WeightOnly(options: NF4WeightOnlyOptions = {}): NF4WeightOnlyConfig {
  return makeConfig(nf4WeightOnlySpec, { ...options });
}
