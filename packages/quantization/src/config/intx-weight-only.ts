// IntxWeightOnlyConfig: integer weights of 1 to 8 bits with integer zero points, per row or in groups.
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { configError, dtypeName, enumeration, type Field, granularity, oneOf, optional } from './field.ts';
import { type Granularity, type PerAxis, type PerGroup, perAxis } from './granularity.ts';
import {
  type Activation,
  enums,
  type IntxChooseQParamsAlgorithm,
  type IntxDType,
  type IntxPackingFormat,
  type MappingType,
  member,
} from './names.ts';
import { groupSizeOf, layoutMoved, schemeMoved } from './renamed.ts';

export type ScaleDType = 'float32' | 'float16' | 'bfloat16';

export interface IntxWeightOnlyConfig {
  readonly type: 'IntxWeightOnlyConfig';
  readonly weightDtype: IntxDType;
  readonly granularity: PerAxis | PerGroup;
  readonly mappingType: MappingType;
  /** null: the dtype of the weight. */
  readonly scaleDtype: ScaleDType | null;
  readonly intxPackingFormat: IntxPackingFormat;
  readonly intxChooseQparamsAlgorithm: IntxChooseQParamsAlgorithm;
  readonly activation: Activation;
}

export interface IntxWeightOnlyOptions {
  weightDtype?: IntxDType | { readonly name: string };
  granularity?: PerAxis | PerGroup;
  mappingType?: MappingType | Lowercase<MappingType>;
  scaleDtype?: ScaleDType | { readonly name: string } | null;
  intxPackingFormat?: IntxPackingFormat;
  intxChooseQparamsAlgorithm?: IntxChooseQParamsAlgorithm;
  activation?: Activation;
  version?: number;
}

export const INTX: readonly IntxDType[] = /*@__PURE__*/ Object.freeze([
  'int1',
  'int2',
  'int3',
  'int4',
  'int5',
  'int6',
  'int7',
  'int8',
]);

export const intxDtype: Field<IntxDType> = /*@__PURE__*/ dtypeName<IntxDType>(INTX);
export const scaleDtype: Field<ScaleDType> = /*@__PURE__*/ dtypeName<ScaleDType>(['float32', 'float16', 'bfloat16']);

/** What torchao asserts, and the two combinations that cannot work (a 1-bit range has no positive side). */
export function checkIntx(
  type: string,
  granularity: PerAxis | PerGroup,
  dtype: IntxDType,
  mapping: MappingType,
  packing: string,
): void {
  if (granularity.type === 'PerAxis' && granularity.axis !== 0) {
    throw configError(
      `${type}: axis must be 0 with PerAxis, got ${granularity.axis}`,
      'use perAxis(0) or perGroup(32)',
    );
  }
  if (dtype === 'int1' && mapping === 'SYMMETRIC_NO_CLIPPING_ERR') {
    throw configError(
      `${type}: SYMMETRIC_NO_CLIPPING_ERR divides by the largest code, which is 0 for int1`,
      "use mappingType: 'ASYMMETRIC'",
    );
  }
  if (member(packing) !== 'UNPACKED_TO_INT8') {
    throw configError(
      `${type}: intxPackingFormat ${packing} is a packed ARM layout; here packing is private to the backend`,
      "use 'UNPACKED_TO_INT8' (the default): prepare(model) packs it for this machine",
    );
  }
}

/** 'intx4', 'intx4-asym', 'intx4-noclip', '-hqq' and the group: the shared part of scheme names. */
export function intxName(dtype: IntxDType, mapping: MappingType, algorithm: string, g: Granularity): string {
  const kind =
    member(algorithm) === 'HQQ_SCALE_ONLY'
      ? 'hqq'
      : { SYMMETRIC: 'sym', ASYMMETRIC: 'asym', SYMMETRIC_NO_CLIPPING_ERR: 'noclip' }[mapping];
  return `intx${dtype.slice(3)}-${kind}${groupSizeOf(g)}`;
}

export const intxWeightOnlySpec: ConfigSpec<IntxWeightOnlyConfig> = /*@__PURE__*/ configSpec({
  type: 'IntxWeightOnlyConfig',
  version: 2,
  fields: {
    weightDtype: /*@__PURE__*/ field<IntxDType>(intxDtype, 'int8'),
    granularity: /*@__PURE__*/ field<Granularity>(
      /*@__PURE__*/ granularity(['PerAxis', 'PerGroup']),
      /*@__PURE__*/ perAxis(0),
    ),
    mappingType: /*@__PURE__*/ field<MappingType>(/*@__PURE__*/ enumeration(enums.mappingType), 'SYMMETRIC'),
    scaleDtype: /*@__PURE__*/ field<ScaleDType | null>(/*@__PURE__*/ optional(scaleDtype), null),
    intxPackingFormat: /*@__PURE__*/ field<IntxPackingFormat>(
      /*@__PURE__*/ enumeration(enums.intxPackingFormat),
      'UNPACKED_TO_INT8',
    ),
    intxChooseQparamsAlgorithm: /*@__PURE__*/ field<IntxChooseQParamsAlgorithm>(
      /*@__PURE__*/ enumeration(enums.intxChooseQParamsAlgorithm),
      'AFFINE',
    ),
  },
  ao: {
    activation: /*@__PURE__*/ field<Activation>(/*@__PURE__*/ oneOf('exact', 'int8-group', 'int8-token'), 'exact'),
  },
  renamed: { layout: layoutMoved, scheme: schemeMoved },
  check: (c) => checkIntx(c.type, c.granularity, c.weightDtype, c.mappingType, c.intxPackingFormat),
  scheme: (c) => {
    const activation = c.activation === 'exact' ? '' : `:${c.activation}`;
    return intxName(c.weightDtype, c.mappingType, c.intxChooseQparamsAlgorithm, c.granularity) + activation;
  },
});

/** `quantize_(model, intxWeightOnly({ weightDtype: 'int4', granularity: perGroup(32) }))`. */
export function intxWeightOnly(options: IntxWeightOnlyOptions = {}): IntxWeightOnlyConfig {
  return makeConfig(intxWeightOnlySpec, { ...options });
}
