// Int8StaticActivationInt8WeightConfig: int8 weights per row, int8 activations with a scale known beforehand.
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { bool, configError, enumeration, granularity, numbers, oneOf, optional } from './field.ts';
import { perRow } from './granularity.ts';
import { checkInt8, type Int8GranularityPair } from './int8-dynamic-activation-int8-weight.ts';
import { enums, type MappingType } from './names.ts';
import type { Json } from './python-json.ts';

/** A small tensor as nested lists, e.g. [[0.025]]. */
export type NumberList = number | readonly NumberList[];

export interface Int8StaticActivationInt8WeightConfig {
  readonly type: 'Int8StaticActivationInt8WeightConfig';
  readonly actQuantScale: NumberList | null;
  readonly actQuantZeroPoint: NumberList | null;
  readonly granularity: Int8GranularityPair;
  readonly actMappingType: 'SYMMETRIC' | 'ASYMMETRIC';
  readonly setInductorConfig: boolean;
  readonly reduceRange: boolean;
  /** Ours: torchao's flow of its other static configs. */
  readonly step: 'prepare' | 'convert' | null;
}

export interface Int8StaticActivationInt8WeightOptions {
  /** Activation scale, (1, 1) for one scale per tensor. */
  actQuantScale?: NumberList | null;
  actQuantZeroPoint?: NumberList | null;
  granularity?: Int8GranularityPair;
  actMappingType?: 'SYMMETRIC' | 'ASYMMETRIC' | 'symmetric' | 'asymmetric';
  setInductorConfig?: boolean;
  reduceRange?: boolean;
  /** 'prepare' puts observers before the weights, 'convert' quantizes with what they saw. */
  step?: 'prepare' | 'convert' | null;
  version?: number;
}

export const int8StaticActivationInt8WeightSpec: ConfigSpec<Int8StaticActivationInt8WeightConfig> =
  /*@__PURE__*/ configSpec({
    type: 'Int8StaticActivationInt8WeightConfig',
    version: 1,
    fields: {
      actQuantScale: /*@__PURE__*/ field<Json>(/*@__PURE__*/ optional(/*@__PURE__*/ numbers(true)), null),
      actQuantZeroPoint: /*@__PURE__*/ field<Json>(/*@__PURE__*/ optional(/*@__PURE__*/ numbers(false)), null),
      granularity: /*@__PURE__*/ field<Int8GranularityPair>(
        /*@__PURE__*/ granularity(['PerTensor', 'PerRow'], true),
        /*@__PURE__*/ perRow(),
      ),
      actMappingType: /*@__PURE__*/ field<MappingType>(/*@__PURE__*/ enumeration(enums.mappingType), 'SYMMETRIC'),
      setInductorConfig: /*@__PURE__*/ field(bool, true),
      reduceRange: /*@__PURE__*/ field(bool, false),
    },
    ao: { step: /*@__PURE__*/ field<Json>(/*@__PURE__*/ optional(/*@__PURE__*/ oneOf('prepare', 'convert')), null) },
    check: (config) => {
      checkInt8(config.type, config);
      if (
        config.actMappingType === 'ASYMMETRIC' &&
        config.actQuantScale !== null &&
        config.actQuantZeroPoint === null
      ) {
        throw configError(
          `${config.type}: an asymmetric activation needs actQuantZeroPoint beside actQuantScale`,
          'give actQuantZeroPoint, e.g. [[0]]',
        );
      }
    },
    scheme: ({ actMappingType }) => `int8static${actMappingType === 'ASYMMETRIC' ? '-asym' : ''}`,
  });

export function int8StaticActivationInt8Weight(
  options: Int8StaticActivationInt8WeightOptions = {},
): Int8StaticActivationInt8WeightConfig {
  return makeConfig(int8StaticActivationInt8WeightSpec, { ...options });
}
