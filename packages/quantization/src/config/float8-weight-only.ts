// Float8WeightOnlyConfig: weights in float8 by rows, the whole tensor, groups of a row, or blocks; activations exact.
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { bool, granularity, optional } from './field.ts';
import { type Float8Dtype, float8Dtype } from './float-fields.ts';
import { type Granularity, type PerBlock, type PerGroup, type PerRow, type PerTensor, perRow } from './granularity.ts';
import { blockName, groupSizeOf, layoutMoved } from './renamed.ts';

export type Float8WeightGranularity = PerRow | PerTensor | PerGroup | PerBlock;

export interface Float8WeightOnlyConfig {
  readonly type: 'Float8WeightOnlyConfig';
  readonly weightDtype: Float8Dtype;
  readonly setInductorConfig: boolean;
  readonly granularity: Float8WeightGranularity;
}

export interface Float8WeightOnlyOptions {
  weightDtype?: Float8Dtype | { readonly name: string };
  /** perRow() unless given; perBlock([128, 128]) is ours. */
  granularity?: Float8WeightGranularity | null;
  setInductorConfig?: boolean;
  version?: number;
}

/** '-e5m2' for the other float8, nothing for e4m3. */
export const float8Suffix = (dtype: Float8Dtype): string => (dtype === 'float8_e5m2' ? '-e5m2' : '');

export const float8WeightOnlySpec: ConfigSpec<Float8WeightOnlyConfig> = /*@__PURE__*/ configSpec({
  type: 'Float8WeightOnlyConfig',
  version: 2,
  fields: {
    weightDtype: /*@__PURE__*/ field<Float8Dtype>(float8Dtype, 'float8_e4m3fn'),
    setInductorConfig: /*@__PURE__*/ field(bool, true),
    granularity: /*@__PURE__*/ field<Granularity | null>(
      /*@__PURE__*/ optional(/*@__PURE__*/ granularity<Granularity>(['PerTensor', 'PerRow', 'PerGroup', 'PerBlock'])),
      null,
    ),
  },
  renamed: { layout: layoutMoved },
  complete: (values) => {
    values.granularity ??= perRow();
  },
  scheme: ({ weightDtype, granularity: g }) =>
    `float8wo${float8Suffix(weightDtype)}${g.type === 'PerBlock' ? blockName(g) : groupSizeOf(g)}`,
});

/** `quantize_(model, float8WeightOnly())`: e4m3, one scale a row. */
export function float8WeightOnly(options: Float8WeightOnlyOptions = {}): Float8WeightOnlyConfig {
  return makeConfig(float8WeightOnlySpec, { ...options });
}
