// torchao's enums as data. A member is written by its name ('SYMMETRIC'); an enum whose members are strings in Python also
// takes the value ('hqq'), which then stays a string in JSON, as it does in torchao.

export const MappingType = /*@__PURE__*/ Object.freeze({
  SYMMETRIC: 'SYMMETRIC',
  SYMMETRIC_NO_CLIPPING_ERR: 'SYMMETRIC_NO_CLIPPING_ERR',
  ASYMMETRIC: 'ASYMMETRIC',
} as const);
export type MappingType = keyof typeof MappingType;

export const ZeroPointDomain = /*@__PURE__*/ Object.freeze({ INT: 'INT', FLOAT: 'FLOAT', NONE: 'NONE' } as const);
export type ZeroPointDomain = keyof typeof ZeroPointDomain;

/** Integer weight types of torchao; only int8 is a storage type, the others live in int8. */
export type IntxDType = 'int1' | 'int2' | 'int3' | 'int4' | 'int5' | 'int6' | 'int7' | 'int8';

export type Int4PackingFormat =
  | 'PLAIN'
  | 'PRESHUFFLED'
  | 'PLAIN_INT32'
  | 'TILE_PACKED_TO_4D'
  | Lowercase<'PLAIN' | 'PRESHUFFLED' | 'PLAIN_INT32' | 'TILE_PACKED_TO_4D'>;
export type Int4ChooseQParamsAlgorithm = 'TINYGEMM' | 'HQQ' | 'tinygemm' | 'hqq';
export type IntxPackingFormat = 'UNPACKED_TO_INT8' | 'unpacked_to_int8';
export type IntxChooseQParamsAlgorithm = 'AFFINE' | 'HQQ_SCALE_ONLY' | 'affine' | 'hqq_scale_only';

/** How a weight-only linear reads its activation; 'exact' is the default and what torchao does. */
export type Activation = 'exact' | 'int8-group' | 'int8-token';

export interface EnumSpec {
  readonly name: string;
  readonly members: readonly string[];
  /** Members are strings in Python: the lower-case value is also valid. */
  readonly strings: boolean;
}

const spec = (name: string, strings: boolean, ...members: string[]): EnumSpec => ({ name, members, strings });

export const enums = /*@__PURE__*/ Object.freeze({
  mappingType: /*@__PURE__*/ spec('MappingType', false, 'SYMMETRIC', 'SYMMETRIC_NO_CLIPPING_ERR', 'ASYMMETRIC'),
  int4PackingFormat: /*@__PURE__*/ spec(
    'Int4PackingFormat',
    true,
    'PLAIN',
    'PRESHUFFLED',
    'PLAIN_INT32',
    'TILE_PACKED_TO_4D',
  ),
  int4ChooseQParamsAlgorithm: /*@__PURE__*/ spec('Int4ChooseQParamsAlgorithm', true, 'TINYGEMM', 'HQQ'),
  intxPackingFormat: /*@__PURE__*/ spec(
    'IntxPackingFormat',
    true,
    'UNPACKED_TO_INT8',
    'OPAQUE_ATEN_KLEIDIAI',
    'OPAQUE_TORCHAO_AUTO',
    'OPAQUE_TORCHAO_KLEIDIAI',
    'OPAQUE_TORCHAO_LOWBIT',
  ),
  intxChooseQParamsAlgorithm: /*@__PURE__*/ spec('IntxChooseQParamsAlgorithm', true, 'AFFINE', 'HQQ_SCALE_ONLY'),
});

/** The member that `value` (a member name or, for string enums, a value) stands for. */
export function member(value: string): string {
  return value.toUpperCase();
}
