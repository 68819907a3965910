// Int8DynamicActivationInt8WeightConfig: int8 weights per row, int8 activations whose scale is found at run time.
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { bool, configError, enumeration, granularity } from './field.ts';
import { type PerRow, type PerTensor, perRow } from './granularity.ts';
import { enums, type MappingType } from './names.ts';
import { layoutMoved, schemeMoved } from './renamed.ts';

export type Int8Granularity = PerRow | PerTensor;
/** One granularity for both, or [activation, weight]. */
export type Int8GranularityPair = Int8Granularity | readonly [activation: Int8Granularity, weight: Int8Granularity];

export interface Int8DynamicActivationInt8WeightConfig {
  readonly type: 'Int8DynamicActivationInt8WeightConfig';
  readonly actMappingType: 'SYMMETRIC' | 'ASYMMETRIC';
  /** A single row of activations, as when decoding one text, is not quantized (torchao's field, which it ignores). */
  readonly weightOnlyDecode: boolean;
  readonly granularity: Int8GranularityPair;
  readonly setInductorConfig: boolean;
  readonly reduceRange: boolean;
}

export interface Int8DynamicActivationInt8WeightOptions {
  actMappingType?: 'SYMMETRIC' | 'ASYMMETRIC' | 'symmetric' | 'asymmetric';
  granularity?: Int8GranularityPair;
  reduceRange?: boolean;
  weightOnlyDecode?: boolean;
  setInductorConfig?: boolean;
  version?: number;
}

/** [activation, weight]. */
export function granularityPair(g: Int8GranularityPair): readonly [Int8Granularity, Int8Granularity] {
  return Array.isArray(g)
    ? (g as readonly [Int8Granularity, Int8Granularity])
    : [g as Int8Granularity, g as Int8Granularity];
}

export function checkInt8(
  type: string,
  config: { readonly actMappingType: MappingType; readonly granularity: Int8GranularityPair },
): void {
  if (config.actMappingType === 'SYMMETRIC_NO_CLIPPING_ERR') {
    throw configError(`${type}: actMappingType must be SYMMETRIC or ASYMMETRIC`, "use actMappingType: 'SYMMETRIC'");
  }
  const [act] = granularityPair(config.granularity);
  if (act.type === 'PerRow' && act.dim !== -1) {
    throw configError(
      `${type}: activations take perRow(-1) or perTensor(), got perRow(${act.dim})`,
      'use granularity: perRow()',
    );
  }
}

export const int8DynamicActivationInt8WeightSpec: ConfigSpec<Int8DynamicActivationInt8WeightConfig> =
  /*@__PURE__*/ configSpec({
    type: 'Int8DynamicActivationInt8WeightConfig',
    version: 2,
    fields: {
      actMappingType: /*@__PURE__*/ field<MappingType>(/*@__PURE__*/ enumeration(enums.mappingType), 'SYMMETRIC'),
      weightOnlyDecode: /*@__PURE__*/ field(bool, false),
      granularity: /*@__PURE__*/ field<Int8GranularityPair>(
        /*@__PURE__*/ granularity(['PerTensor', 'PerRow'], true),
        /*@__PURE__*/ perRow(),
      ),
      setInductorConfig: /*@__PURE__*/ field(bool, true),
      reduceRange: /*@__PURE__*/ field(bool, false),
    },
    renamed: { layout: layoutMoved, scheme: schemeMoved },
    check: (config) => checkInt8(config.type, config),
    scheme: ({ actMappingType, granularity, reduceRange, weightOnlyDecode }) => {
      const [act, weight] = granularityPair(granularity);
      const tensor =
        act.type === 'PerTensor' && weight.type === 'PerTensor'
          ? '-tensor'
          : act.type === 'PerTensor'
            ? '-act_tensor'
            : weight.type === 'PerTensor'
              ? '-weight_tensor'
              : '';
      return `int8dq${actMappingType === 'ASYMMETRIC' ? '-asym' : ''}${tensor}${reduceRange ? '-reduce_range' : ''}${weightOnlyDecode ? '-exact_row' : ''}`;
    },
  });

export function int8DynamicActivationInt8Weight(
  options: Int8DynamicActivationInt8WeightOptions = {},
): Int8DynamicActivationInt8WeightConfig {
  return makeConfig(int8DynamicActivationInt8WeightSpec, { ...options });
}
