// torchao configs whose schemes live elsewhere: the codec can read and write them, so that a foreign config.json survives
// a round trip and quantize_ can name the extension that would handle it.
import { type AoConfig, type ConfigSpec, field } from './config.ts';
import {
  bool,
  configError,
  dtypeName,
  enumeration,
  type Field,
  float,
  granularity,
  int,
  isTagged,
  numbers,
  optional,
} from './field.ts';
import type { Granularity } from './granularity.ts';
import type { EnumSpec } from './names.ts';
import type { Json } from './python-json.ts';

/** A config that the codec knows by its fields alone. */
export interface ForeignConfig extends AoConfig {
  readonly [field: string]: unknown;
}

const enumSpec = (name: string, strings: boolean, ...members: string[]): EnumSpec => ({ name, members, strings });

const kernelPreference = /*@__PURE__*/ enumeration(
  /*@__PURE__*/ enumSpec(
    'KernelPreference',
    true,
    'AUTO',
    'TORCH',
    'MSLK',
    'EMULATED',
    'DEEPGEMM',
    'TRITON',
    'CUTEDSL',
  ),
);
const step = /*@__PURE__*/ optional(
  /*@__PURE__*/ enumeration(
    /*@__PURE__*/ enumSpec('QuantizationStep', true, 'PREPARE', 'CONVERT', 'PREPARE_FOR_LOADING'),
  ),
);
const scalingMode = /*@__PURE__*/ enumeration(
  /*@__PURE__*/ enumSpec('ScaleCalculationMode', true, 'FLOOR', 'CEIL', 'EVEN', 'RCEIL'),
);
const float8 = /*@__PURE__*/ dtypeName(['float8_e4m3fn', 'float8_e5m2', 'float8_e4m3fnuz', 'float8_e5m2fnuz']);
const mxDtype = /*@__PURE__*/ dtypeName(['float8_e4m3fn', 'float8_e5m2', 'float4_e2m1fn_x2'], ['fp6_e2m3', 'fp6_e3m2']);
const float8Packing = /*@__PURE__*/ enumeration(
  /*@__PURE__*/ enumSpec(
    'Float8PackingFormat',
    true,
    'PLAIN',
    'SPARSE_2D_DATA_2D_METADATA',
    'SPARSE_1D_DATA_1D_METADATA',
  ),
);
const float8Granularity = /*@__PURE__*/ optional(
  /*@__PURE__*/ granularity<Granularity | readonly Granularity[]>(
    ['PerTensor', 'PerRow', 'PerGroup', 'PerBlock'],
    true,
  ),
);
const int4Packing = /*@__PURE__*/ enumeration(
  /*@__PURE__*/ enumSpec('Int4PackingFormat', true, 'PLAIN', 'PRESHUFFLED', 'PLAIN_INT32', 'TILE_PACKED_TO_4D'),
);

interface Float8MMConfig {
  readonly emulate: boolean;
  readonly useFastAccum: boolean;
  readonly padInnerDim: boolean;
}

const mmConfig: Field<Float8MMConfig> = {
  encode: (v) => ({
    _type: 'Float8MMConfig',
    _version: 1,
    _data: { emulate: v.emulate, use_fast_accum: v.useFastAccum, pad_inner_dim: v.padInnerDim },
  }),
  decode: (json, where) => {
    if (!isTagged(json) || json._type !== 'Float8MMConfig') throw configError(`${where}: expected a Float8MMConfig`);
    const data = json._data as Record<string, unknown>;
    const get = (name: string): boolean => bool.accept(data[name] ?? false, `${where}.${name}`);
    return Object.freeze({
      emulate: get('emulate'),
      useFastAccum: get('use_fast_accum'),
      padInnerDim: get('pad_inner_dim'),
    });
  },
  accept: (v) => v as Float8MMConfig,
};

const foreign = (type: string, version: number, fields: ConfigSpec['fields']): ConfigSpec<ForeignConfig> =>
  Object.freeze({ type, version, fields, scheme: () => type });

const E4M3 = 'float8_e4m3fn';

export const knownSpecs: readonly ConfigSpec<ForeignConfig>[] = /*@__PURE__*/ Object.freeze([
  /*@__PURE__*/ foreign('Float8WeightOnlyConfig', 2, {
    weightDtype: /*@__PURE__*/ field<string>(float8, E4M3),
    setInductorConfig: /*@__PURE__*/ field(bool, true),
    granularity: /*@__PURE__*/ field<Granularity | readonly Granularity[] | null>(float8Granularity, null),
  }),
  /*@__PURE__*/ foreign('Float8DynamicActivationFloat8WeightConfig', 2, {
    activationDtype: /*@__PURE__*/ field<string>(float8, E4M3),
    weightDtype: /*@__PURE__*/ field<string>(float8, E4M3),
    granularity: /*@__PURE__*/ field<Granularity | readonly Granularity[] | null>(float8Granularity, null),
    packingFormat: /*@__PURE__*/ field<string>(float8Packing, 'PLAIN'),
    mmConfig: /*@__PURE__*/ field<Float8MMConfig | null>(/*@__PURE__*/ optional(mmConfig), null),
    activationValueLb: /*@__PURE__*/ field<number | null>(/*@__PURE__*/ optional(float), null),
    activationValueUb: /*@__PURE__*/ field<number | null>(/*@__PURE__*/ optional(float), null),
    kernelPreference: /*@__PURE__*/ field<string>(kernelPreference, 'AUTO'),
    setInductorConfig: /*@__PURE__*/ field(bool, true),
    algId: /*@__PURE__*/ field(int, 0),
  }),
  /*@__PURE__*/ foreign('Float8StaticActivationFloat8WeightConfig', 1, {
    step: /*@__PURE__*/ field<string | null>(step, null),
    actQuantScale: /*@__PURE__*/ field<Json>(/*@__PURE__*/ optional(/*@__PURE__*/ numbers(true)), null),
    activationDtype: /*@__PURE__*/ field<string>(float8, E4M3),
    weightDtype: /*@__PURE__*/ field<string>(float8, E4M3),
    granularity: /*@__PURE__*/ field<Granularity | readonly Granularity[] | null>(float8Granularity, null),
    mmConfig: /*@__PURE__*/ field<Float8MMConfig | null>(/*@__PURE__*/ optional(mmConfig), null),
    kernelPreference: /*@__PURE__*/ field<string>(kernelPreference, 'AUTO'),
    setInductorConfig: /*@__PURE__*/ field(bool, true),
    quantizeAndDequantizeOutput: /*@__PURE__*/ field(bool, false),
    outputActQuantScale: /*@__PURE__*/ field<Json>(/*@__PURE__*/ optional(/*@__PURE__*/ numbers(true)), null),
  }),
  /*@__PURE__*/ foreign('Float8DynamicActivationInt4WeightConfig', 1, {
    int4PackingFormat: /*@__PURE__*/ field<string>(int4Packing, 'preshuffled'),
  }),
  /*@__PURE__*/ foreign('MXDynamicActivationMXWeightConfig', 1, {
    blockSize: /*@__PURE__*/ field(int, 32),
    activationDtype: /*@__PURE__*/ field<string>(mxDtype, E4M3),
    weightDtype: /*@__PURE__*/ field<string>(mxDtype, E4M3),
    kernelPreference: /*@__PURE__*/ field<string>(kernelPreference, 'AUTO'),
    scalingMode: /*@__PURE__*/ field<string>(scalingMode, 'RCEIL'),
  }),
  /*@__PURE__*/ foreign('NVFP4DynamicActivationNVFP4WeightConfig', 1, {
    useTritonKernel: /*@__PURE__*/ field(bool, true),
    useDynamicPerTensorScale: /*@__PURE__*/ field(bool, true),
    step: /*@__PURE__*/ field<string | null>(step, null),
  }),
  /*@__PURE__*/ foreign('NVFP4WeightOnlyConfig', 1, { useDynamicPerTensorScale: /*@__PURE__*/ field(bool, true) }),
  /*@__PURE__*/ foreign('NF4WeightOnlyConfig', 1, {}),
]);
