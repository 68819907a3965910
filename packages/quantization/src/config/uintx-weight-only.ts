// Unsigned codes of 1 to 8 bits in groups. UIntxWeightOnlyConfig is torchao's since 0.17: float zero points found by HQQ, 8 bits
// symmetric. UIntXWeightOnlyConfig is that of 0.16 and before: integer zero points, or HQQ. One factory makes both.
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { bool, configError, dtypeName, type Field, int, optional } from './field.ts';

export interface UIntxWeightOnlyConfig {
  readonly type: 'UIntxWeightOnlyConfig';
  /** null: a row. */
  readonly groupSize: number | null;
  readonly bitWidth: number;
  /** torchao's container of GPU kernels; no choice here. */
  readonly packingBitwidth: number | null;
  readonly setInductorConfig: boolean;
}

export interface UIntxWeightOnlyOptions {
  groupSize?: number | null;
  /** 4 or 8 in torchao; 1 to 8 here. */
  bitWidth?: number;
  packingBitwidth?: number | null;
  setInductorConfig?: boolean;
  version?: number;
}

export type UIntxDtype = 'uint1' | 'uint2' | 'uint3' | 'uint4' | 'uint5' | 'uint6' | 'uint7';

export interface OldUIntxWeightOnlyConfig {
  readonly type: 'UIntXWeightOnlyConfig';
  readonly dtype: UIntxDtype;
  readonly groupSize: number;
  /** torchao's packed dimension; no choice here. */
  readonly packDim: number;
  readonly useHqq: boolean;
  readonly setInductorConfig: boolean;
}

export interface OldUIntxWeightOnlyOptions {
  dtype: UIntxDtype;
  groupSize?: number;
  packDim?: number;
  useHqq?: boolean;
  setInductorConfig?: boolean;
}

const uintxDtype: Field<UIntxDtype> = /*@__PURE__*/ dtypeName<UIntxDtype>([
  'uint1',
  'uint2',
  'uint3',
  'uint4',
  'uint5',
  'uint6',
  'uint7',
]);

function checkGroup(type: string, groupSize: number | null): void {
  if (groupSize === null || groupSize >= 1) return;
  throw configError(`${type}: groupSize is ${groupSize}`, 'use 64 or 128');
}

export const uintxWeightOnlySpec: ConfigSpec<UIntxWeightOnlyConfig> = /*@__PURE__*/ configSpec({
  type: 'UIntxWeightOnlyConfig',
  version: 1,
  fields: {
    groupSize: /*@__PURE__*/ field<number | null>(/*@__PURE__*/ optional(int), 128),
    bitWidth: /*@__PURE__*/ field(int, 4),
    packingBitwidth: /*@__PURE__*/ field<number | null>(/*@__PURE__*/ optional(int), null),
    setInductorConfig: /*@__PURE__*/ field(bool, true),
  },
  check: ({ type, bitWidth, groupSize }) => {
    checkGroup(type, groupSize);
    if (bitWidth < 1 || bitWidth > 8) throw configError(`${type}: bitWidth is ${bitWidth}`, 'use 1 to 8');
  },
  scheme: ({ bitWidth, groupSize }) => `uintx${bitWidth}wo-${groupSize ?? 'row'}`,
});

export const oldUintxWeightOnlySpec: ConfigSpec<OldUIntxWeightOnlyConfig> = /*@__PURE__*/ configSpec({
  type: 'UIntXWeightOnlyConfig',
  version: 1,
  fields: {
    dtype: /*@__PURE__*/ field<UIntxDtype>(uintxDtype, 'uint4'),
    groupSize: /*@__PURE__*/ field(int, 64),
    packDim: /*@__PURE__*/ field(int, -1),
    useHqq: /*@__PURE__*/ field(bool, false),
    setInductorConfig: /*@__PURE__*/ field(bool, true),
  },
  check: ({ type, groupSize }) => checkGroup(type, groupSize),
  scheme: ({ dtype, useHqq, groupSize }) => `${dtype}wo${useHqq ? '-hqq' : ''}-${groupSize}`,
});

/** `uintxWeightOnly({ bitWidth: 3, groupSize: 64 })`; with `dtype: 'uint3'` the config of torchao 0.16 and before. */
export function uintxWeightOnly(options: OldUIntxWeightOnlyOptions): OldUIntxWeightOnlyConfig;
export function uintxWeightOnly(options?: UIntxWeightOnlyOptions): UIntxWeightOnlyConfig;
export function uintxWeightOnly(
  options: UIntxWeightOnlyOptions | OldUIntxWeightOnlyOptions = {},
): UIntxWeightOnlyConfig | OldUIntxWeightOnlyConfig {
  return 'dtype' in options
    ? makeConfig(oldUintxWeightOnlySpec, { ...options })
    : makeConfig(uintxWeightOnlySpec, { ...options });
}
