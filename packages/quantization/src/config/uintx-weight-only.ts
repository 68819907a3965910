// UIntxWeightOnlyConfig: unsigned codes of 1 to 7 bits with float zero points found by HQQ, or symmetric int8.
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { bool, configError, int, optional } from './field.ts';

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
    if (bitWidth < 1 || bitWidth > 8) throw configError(`${type}: bitWidth is ${bitWidth}`, 'use 1 to 8');
    if (groupSize !== null && groupSize < 1)
      throw configError(`${type}: groupSize is ${groupSize}`, 'use 64, 128, or null for a row');
  },
  scheme: ({ bitWidth, groupSize }) => `uint${bitWidth}wo${groupSize === null ? '' : `-${groupSize}`}`,
});

/** `quantize_(model, uintxWeightOnly({ bitWidth: 3, groupSize: 64 }))`. */
export function uintxWeightOnly(options: UIntxWeightOnlyOptions = {}): UIntxWeightOnlyConfig {
  return makeConfig(uintxWeightOnlySpec, { ...options });
}
