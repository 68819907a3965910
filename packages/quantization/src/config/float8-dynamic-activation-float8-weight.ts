// Float8DynamicActivationFloat8WeightConfig: float8 weights, and activations in float8 with scales found at run time.
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { bool, configError, float, int, optional } from './field.ts';
import {
  type Float8Dtype,
  type Float8MMConfig,
  fastAccum,
  float8Dtype,
  float8Granularity,
  float8Packing,
  type KernelPreference,
  kernelPreference,
  type MemberOf,
  mmConfig,
} from './float-fields.ts';
import { float8Suffix } from './float8-weight-only.ts';
import { type Granularity, type PerBlock, type PerRow, type PerTensor, perTensor } from './granularity.ts';
import { member } from './names.ts';
import { blockName } from './renamed.ts';

export type Float8Granularity = PerRow | PerTensor | PerBlock;
/** [activation, weight]. */
export type Float8GranularityPair = readonly [Float8Granularity, Float8Granularity];

export interface Float8DynamicActivationFloat8WeightConfig {
  readonly type: 'Float8DynamicActivationFloat8WeightConfig';
  readonly activationDtype: Float8Dtype;
  readonly weightDtype: Float8Dtype;
  readonly granularity: Float8GranularityPair;
  readonly packingFormat: string;
  readonly mmConfig: Float8MMConfig;
  /** Bounds of the amax that an activation's scale is made from. */
  readonly activationValueLb: number | null;
  readonly activationValueUb: number | null;
  readonly kernelPreference: MemberOf<KernelPreference>;
  readonly setInductorConfig: boolean;
  readonly algId: number;
}

export interface Float8DynamicActivationFloat8WeightOptions {
  activationDtype?: Float8Dtype | { readonly name: string };
  weightDtype?: Float8Dtype | { readonly name: string };
  /** One for both, or [activation, weight]: the tensor, rows, or [perBlock([1, 128]), perBlock([128, 128])]. */
  granularity?: Float8Granularity | Float8GranularityPair | null;
  packingFormat?: string;
  mmConfig?: Float8MMConfig | null;
  activationValueLb?: number | null;
  activationValueUb?: number | null;
  kernelPreference?: MemberOf<KernelPreference>;
  setInductorConfig?: boolean;
  algId?: number;
  version?: number;
}

const blocksFit = ([act, weight]: Float8GranularityPair): boolean =>
  act.type === 'PerBlock' && weight.type === 'PerBlock'
    ? act.blockSize.length === 2 && act.blockSize[0] === 1 && act.blockSize[1] === weight.blockSize[1]
    : act.type === weight.type;

export const float8DynamicActivationFloat8WeightSpec: ConfigSpec<Float8DynamicActivationFloat8WeightConfig> =
  /*@__PURE__*/ configSpec({
    type: 'Float8DynamicActivationFloat8WeightConfig',
    version: 2,
    fields: {
      activationDtype: /*@__PURE__*/ field<Float8Dtype>(float8Dtype, 'float8_e4m3fn'),
      weightDtype: /*@__PURE__*/ field<Float8Dtype>(float8Dtype, 'float8_e4m3fn'),
      granularity: /*@__PURE__*/ field<Granularity | readonly Granularity[] | null>(float8Granularity, null),
      packingFormat: /*@__PURE__*/ field<string>(float8Packing, 'PLAIN'),
      mmConfig: /*@__PURE__*/ field<Float8MMConfig | null>(mmConfig, null),
      activationValueLb: /*@__PURE__*/ field<number | null>(/*@__PURE__*/ optional(float), null),
      activationValueUb: /*@__PURE__*/ field<number | null>(/*@__PURE__*/ optional(float), null),
      kernelPreference: /*@__PURE__*/ field<MemberOf<KernelPreference>>(kernelPreference, 'AUTO'),
      setInductorConfig: /*@__PURE__*/ field(bool, true),
      algId: /*@__PURE__*/ field(int, 0),
    },
    complete: (values) => {
      const g = (values.granularity ?? perTensor()) as Granularity | readonly Granularity[];
      values.granularity = Object.freeze(Array.isArray(g) ? [...g] : [g, g]);
      const [act] = values.granularity as Granularity[];
      values.mmConfig ??= fastAccum(act?.type !== 'PerBlock');
    },
    check: ({ type, granularity, packingFormat }) => {
      if (!blocksFit(granularity)) {
        throw configError(
          `${type}: activations by ${granularity[0].type} do not go with weights by ${granularity[1].type}`,
          'use perTensor(), perRow(), or [perBlock([1, 128]), perBlock([128, 128])]',
        );
      }
      if (member(packingFormat) !== 'PLAIN') {
        throw configError(
          `${type}: packingFormat ${packingFormat} is a 2:4 sparse layout of GPUs`,
          "use 'PLAIN' (the default)",
        );
      }
    },
    scheme: ({ granularity: [, g], weightDtype }) =>
      `float8dq${float8Suffix(weightDtype)}-${g.type === 'PerBlock' ? blockName(g).slice(1) : g.type === 'PerRow' ? 'row' : 'tensor'}`,
  });

/** `quantize_(model, float8DynamicActivationFloat8Weight({ granularity: perRow() }))`. */
export function float8DynamicActivationFloat8Weight(
  options: Float8DynamicActivationFloat8WeightOptions = {},
): Float8DynamicActivationFloat8WeightConfig {
  return makeConfig(float8DynamicActivationFloat8WeightSpec, { ...options });
}
