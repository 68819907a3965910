// Int8DynamicActivationIntxWeightConfig ("8da4w"): integer weights of 1 to 8 bits, activations asymmetric int8 per token.
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { configError, enumeration, granularity, optional } from './field.ts';
import { type Granularity, type PerAxis, type PerGroup, perGroup } from './granularity.ts';
import { checkIntx, intxDtype, intxName, type ScaleDType, scaleDtype } from './intx-weight-only.ts';
import {
  enums,
  type IntxChooseQParamsAlgorithm,
  type IntxDType,
  type IntxPackingFormat,
  type MappingType,
} from './names.ts';
import { layoutMoved, schemeMoved } from './renamed.ts';

export interface Int8DynamicActivationIntxWeightConfig {
  readonly type: 'Int8DynamicActivationIntxWeightConfig';
  readonly weightDtype: IntxDType;
  readonly weightGranularity: PerAxis | PerGroup;
  readonly weightMappingType: MappingType;
  readonly weightScaleDtype: ScaleDType | null;
  readonly actMappingType: 'ASYMMETRIC';
  readonly intxPackingFormat: IntxPackingFormat;
  readonly intxChooseQparamsAlgorithm: IntxChooseQParamsAlgorithm;
}

export interface Int8DynamicActivationIntxWeightOptions {
  weightDtype?: IntxDType | { readonly name: string };
  weightGranularity?: PerAxis | PerGroup;
  weightMappingType?: MappingType | Lowercase<MappingType>;
  weightScaleDtype?: ScaleDType | { readonly name: string } | null;
  actMappingType?: 'ASYMMETRIC' | 'asymmetric';
  intxPackingFormat?: IntxPackingFormat;
  intxChooseQparamsAlgorithm?: IntxChooseQParamsAlgorithm;
  /** The old name of `weightGranularity: perGroup(groupSize)`. */
  groupSize?: number;
  version?: number;
}

export const int8DynamicActivationIntxWeightSpec: ConfigSpec<Int8DynamicActivationIntxWeightConfig> =
  /*@__PURE__*/ configSpec({
    type: 'Int8DynamicActivationIntxWeightConfig',
    version: 2,
    fields: {
      weightDtype: /*@__PURE__*/ field<IntxDType>(intxDtype, 'int8'),
      weightGranularity: /*@__PURE__*/ field<Granularity>(
        /*@__PURE__*/ granularity(['PerAxis', 'PerGroup']),
        /*@__PURE__*/ perGroup(32),
      ),
      weightMappingType: /*@__PURE__*/ field<MappingType>(/*@__PURE__*/ enumeration(enums.mappingType), 'SYMMETRIC'),
      weightScaleDtype: /*@__PURE__*/ field<ScaleDType | null>(/*@__PURE__*/ optional(scaleDtype), null),
      actMappingType: /*@__PURE__*/ field<MappingType>(/*@__PURE__*/ enumeration(enums.mappingType), 'ASYMMETRIC'),
      intxPackingFormat: /*@__PURE__*/ field<IntxPackingFormat>(
        /*@__PURE__*/ enumeration(enums.intxPackingFormat),
        'UNPACKED_TO_INT8',
      ),
      intxChooseQparamsAlgorithm: /*@__PURE__*/ field<IntxChooseQParamsAlgorithm>(
        /*@__PURE__*/ enumeration(enums.intxChooseQParamsAlgorithm),
        'AFFINE',
      ),
    },
    renamed: {
      groupSize: (value, options) => {
        if (options.weightGranularity !== undefined)
          throw configError('groupSize and weightGranularity are both given', 'leave groupSize out');
        return { weightGranularity: perGroup(value as number) };
      },
      layout: layoutMoved,
      scheme: schemeMoved,
    },
    check: (c) => {
      checkIntx(c.type, c.weightGranularity, c.weightDtype, c.weightMappingType, c.intxPackingFormat);
      if (c.actMappingType !== 'ASYMMETRIC') {
        throw configError(
          `${c.type}: only asymmetric activations exist, got ${String(c.actMappingType)}`,
          'leave actMappingType out, or use int8DynamicActivationInt8Weight()',
        );
      }
    },
    scheme: (c) =>
      intxName(c.weightDtype, c.weightMappingType, c.intxChooseQparamsAlgorithm, c.weightGranularity)
        .replace(/^intx(\d)/, '8da$1w')
        .replace('-sym', ''),
  });

/** `quantize_(model, int8DynamicActivationIntxWeight({ weightDtype: 'int4', weightGranularity: perGroup(32) }))`. */
export function int8DynamicActivationIntxWeight(
  options: Int8DynamicActivationIntxWeightOptions = {},
): Int8DynamicActivationIntxWeightConfig {
  return makeConfig(int8DynamicActivationIntxWeightSpec, { ...options });
}

/** torchao's older name of int4 weights in groups, 32 unless given: `quantize_(model, int8DynamicActivationInt4Weight({ groupSize: 32 }))`. */
export function int8DynamicActivationInt4Weight(
  options: Omit<Int8DynamicActivationIntxWeightOptions, 'weightDtype' | 'weightGranularity' | 'weightMappingType'> & {
    readonly mappingType?: Int8DynamicActivationIntxWeightOptions['weightMappingType'];
  } = {},
): Int8DynamicActivationIntxWeightConfig {
  const { groupSize = 32, mappingType = 'SYMMETRIC', ...rest } = options;
  const weightGranularity = perGroup(groupSize);
  return int8DynamicActivationIntxWeight({
    ...{ weightDtype: 'int4', weightGranularity, weightMappingType: mappingType },
    ...rest,
  });
}
