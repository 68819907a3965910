// The configs of sparsify_: torchao's names, and what the kept values are quantized by.
import { AoError } from '@ao/core';
import {
  type AoConfig,
  type ConfigSpec,
  configSpec,
  field,
  fields,
  float8DynamicActivationFloat8Weight,
  type Int8DynamicActivationInt8WeightOptions,
  int8DynamicActivationInt8Weight,
  intxWeightOnly,
  makeConfig,
  perGroup,
  perRow,
  schemeName,
} from '@ao/quantization';

export interface SemiSparseWeightConfig extends AoConfig {
  readonly type: 'SemiSparseWeightConfig';
  /** cuSPARSELt's algorithm; kept for files, no meaning here. */
  readonly algId: number;
  /** What the values that are kept [N, K / 2] become; null: they stay floats. Groups count kept values. Ours. */
  readonly values: AoConfig | null;
}

export interface SemiSparseWeightOptions {
  algId?: number;
  values?: AoConfig | null;
}

const nested: fields.Field<AoConfig> = {
  encode: (v, inner) => inner.encode(v),
  decode: (json, where, inner) => inner.decode(json, where),
  accept: (v, where) => {
    if (typeof (v as AoConfig | null)?.type === 'string') return v as AoConfig;
    throw new AoError('ERR_AO_CONFIG', `${where}: expected a config of quantize_`, { fix: 'e.g. int8WeightOnly()' });
  },
};

export const semiSparseWeightSpec: ConfigSpec<SemiSparseWeightConfig> = /*@__PURE__*/ configSpec({
  type: 'SemiSparseWeightConfig',
  version: 1,
  fields: { algId: /*@__PURE__*/ field(fields.int, 0) },
  ao: { values: /*@__PURE__*/ field<AoConfig | null>(/*@__PURE__*/ fields.optional(nested), null) },
  scheme: ({ values }) => (values === null ? 'sparse24' : `sparse24-${schemeName(values)}`),
});

/** Of each four columns of a weight the two of largest magnitude; weights that are 2:4 already stay as they are. */
export const semiSparseWeight = (options: SemiSparseWeightOptions = {}): SemiSparseWeightConfig =>
  makeConfig(semiSparseWeightSpec, { ...options });

/** torchao's int8 dynamic quantization on SemiSparseLayout: int8 values by rows, int8 activations by tokens. */
export const int8DynamicActivationInt8SemiSparseWeight = (
  options: Int8DynamicActivationInt8WeightOptions = {},
): SemiSparseWeightConfig => semiSparseWeight({ values: int8DynamicActivationInt8Weight(options) });

/**
 * torchao's int4 weights on MarlinSparseLayout: symmetric int4 values with a scale for each `groupSize` columns (half as many
 * values), in the plain layout.
 */
export function int4WeightOnlySemiSparseWeight({
  groupSize = 128,
}: {
  groupSize?: number;
} = {}): SemiSparseWeightConfig {
  if (!(groupSize >= 16 && groupSize % 16 === 0)) {
    throw new AoError('ERR_AO_CONFIG', `int4WeightOnlySemiSparseWeight: groupSize is ${groupSize}`, {
      fix: 'give a multiple of 16 columns, e.g. 128',
    });
  }
  const values = intxWeightOnly({
    weightDtype: 'int4',
    granularity: perGroup(groupSize / 2),
    mappingType: 'SYMMETRIC',
  });
  return semiSparseWeight({ values });
}

/** Float8DynamicActivationFloat8SemiSparseWeightConfig: float8 values by rows, float8 activations by tokens. */
export const float8DynamicActivationFloat8SemiSparseWeight = (): SemiSparseWeightConfig =>
  semiSparseWeight({ values: float8DynamicActivationFloat8Weight({ granularity: perRow() }) });

export interface BlockSparseWeightConfig extends AoConfig {
  readonly type: 'BlockSparseWeightConfig';
  readonly blocksize: number;
}

export const blockSparseWeightSpec: ConfigSpec<BlockSparseWeightConfig> = /*@__PURE__*/ configSpec({
  type: 'BlockSparseWeightConfig',
  version: 1,
  fields: { blocksize: /*@__PURE__*/ field(fields.int, 64) },
  check: ({ blocksize }) => {
    if (blocksize >= 1) return;
    throw new AoError('ERR_AO_CONFIG', `blockSparseWeight: blocksize is ${blocksize}`, { fix: 'give e.g. 64' });
  },
  scheme: ({ blocksize }) => `bsr-${blocksize}`,
});

/** Square blocks of `blocksize`; those of zeros are left out. */
export const blockSparseWeight = (options: { blocksize?: number } = {}): BlockSparseWeightConfig =>
  makeConfig(blockSparseWeightSpec, { ...options });
