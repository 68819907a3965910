// Int8WeightOnlyConfig: symmetric int8 weights, activations in floating point unless `activation` says otherwise.
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { bool, configError, granularity, int, oneOf, optional } from './field.ts';
import { type Granularity, type PerGroup, type PerRow, type PerTensor, perGroup, perRow } from './granularity.ts';
import type { Activation } from './names.ts';
import { groupSizeOf, layoutMoved, schemeMoved } from './renamed.ts';

export interface Int8WeightOnlyConfig {
  readonly type: 'Int8WeightOnlyConfig';
  /** Always null: torchao keeps the field; `granularity: perGroup(n)` is what it used to mean. */
  readonly groupSize: null;
  readonly granularity: PerRow | PerTensor | PerGroup;
  readonly setInductorConfig: boolean;
  readonly activation: Activation;
}

export interface Int8WeightOnlyOptions {
  granularity?: Int8WeightOnlyConfig['granularity'];
  activation?: Activation;
  setInductorConfig?: boolean;
  /** The old name of `granularity: perGroup(groupSize)`. */
  groupSize?: number | null;
  version?: number;
}

export const int8WeightOnlySpec: ConfigSpec<Int8WeightOnlyConfig> = /*@__PURE__*/ configSpec({
  type: 'Int8WeightOnlyConfig',
  version: 2,
  fields: {
    groupSize: /*@__PURE__*/ field<number | null>(/*@__PURE__*/ optional(int), null),
    granularity: /*@__PURE__*/ field<Granularity>(
      /*@__PURE__*/ granularity(['PerTensor', 'PerRow', 'PerGroup']),
      /*@__PURE__*/ perRow(),
    ),
    setInductorConfig: /*@__PURE__*/ field(bool, true),
  },
  ao: {
    activation: /*@__PURE__*/ field<Activation>(/*@__PURE__*/ oneOf('exact', 'int8-group', 'int8-token'), 'exact'),
  },
  renamed: {
    groupSize: (value, options) => {
      if (value === null) return {};
      if (options.granularity !== undefined) {
        throw configError(
          'Int8WeightOnlyConfig: groupSize and granularity are both given',
          `leave groupSize out, or use granularity: perGroup(${String(value)}) alone`,
        );
      }
      return { granularity: perGroup(value as number) };
    },
    layout: layoutMoved,
    scheme: schemeMoved,
  },
  check: (config) => {
    if (config.groupSize !== null) {
      throw configError(
        `Int8WeightOnlyConfig: group_size must be null, got ${String(config.groupSize)}`,
        `use granularity PerGroup(${String(config.groupSize)})`,
      );
    }
  },
  scheme: ({ granularity, activation }) =>
    `int8wo${groupSizeOf(granularity)}${activation === 'exact' ? '' : `:${activation}`}`,
});

/** `quantize_(model, int8WeightOnly())`: one scale per row by default. */
export function int8WeightOnly(options: Int8WeightOnlyOptions = {}): Int8WeightOnlyConfig {
  return makeConfig(int8WeightOnlySpec, { ...options });
}
