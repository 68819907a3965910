// Configs of torchao whose schemes live elsewhere (prototype, sparsity, QAT, training) by their fields alone: the codec reads
// and writes them, so that a foreign config.json survives a round trip and quantize_ can name the extension that is missing.
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
  optional,
  text,
} from './field.ts';
import { float8Dtype, kernelPreference, scalingMode } from './float-fields.ts';
import { type Granularity, perAxis } from './granularity.ts';
import type { EnumSpec } from './names.ts';

/** A config that the codec knows by its fields alone. */
export interface ForeignConfig extends AoConfig {
  readonly [field: string]: unknown;
}

const foreign = (type: string, version: number, fields: ConfigSpec['fields']): ConfigSpec<ForeignConfig> =>
  Object.freeze({ type, version, fields, scheme: () => type });

const strings = (name: string, ...members: string[]): EnumSpec => ({ name, members, strings: true });

const floats = /*@__PURE__*/ dtypeName(['float32', 'float16', 'bfloat16']);
const step = /*@__PURE__*/ enumeration(
  /*@__PURE__*/ strings(
    'QuantizationStep',
    'PREPARE',
    'CONVERT',
    'PREPARE_FOR_LOADING',
    'PREPARE_FOR_SMOOTHQUANT_SMOOTHING_FACTOR',
    'PREPARE_FOR_SMOOTHQUANT_ACTIVATION_SCALES',
  ),
);
const qatStep = /*@__PURE__*/ enumeration(/*@__PURE__*/ strings('QATStep', 'PREPARE', 'CONVERT'));

/** A config inside a config. */
const nested: Field<AoConfig | null> = {
  encode: (value, codec) => (value === null ? null : codec.encode(value)),
  decode: (json, where, codec) => (json === null ? null : codec.decode(json, where)),
  accept: (value, where) => {
    if (value === null || typeof (value as AoConfig).type === 'string') return value as AoConfig | null;
    throw configError(`${where}: expected a config, got ${JSON.stringify(value)}`);
  },
};

const perAxisOrGroup = /*@__PURE__*/ granularity<Granularity>(['PerAxis', 'PerGroup']);
const maybeInt = /*@__PURE__*/ optional(int);
const inductor = { setInductorConfig: /*@__PURE__*/ field(bool, true) };
const gemlite = {
  groupSize: /*@__PURE__*/ field<number | null>(maybeInt, 128),
  bitWidth: /*@__PURE__*/ field(int, 4),
  packingBitwidth: /*@__PURE__*/ field<number | null>(maybeInt, null),
  ...inductor,
};

const makeSpecs = (): readonly ConfigSpec<ForeignConfig>[] => [
  foreign('Int8DynamicActivationUIntxWeightConfig', 1, gemlite),
  foreign('StretchedIntxWeightConfig', 2, {
    granularity: field<Granularity>(perAxisOrGroup, perAxis(0)),
    scaleDtype: field<string | null>(optional(floats), null),
    b: field<number | null>(maybeInt, null),
    quantMin: field<number | null>(maybeInt, null),
    quantMax: field<number | null>(maybeInt, null),
    activationQuantization: field<string | null>(optional(text), 'int8_asym_per_token'),
  }),
  foreign('Float8DynamicActivationFloat8WeightOpaqueTensorConfig', 1, {
    activationDtype: field<string>(float8Dtype, 'float8_e4m3fn'),
    weightDtype: field<string>(float8Dtype, 'float8_e4m3fn'),
    granularity: field<Granularity | readonly Granularity[] | null>(
      optional(granularity<Granularity | readonly Granularity[]>(['PerTensor', 'PerRow', 'PerGroup'], true)),
      null,
    ),
    ...inductor,
  }),
  foreign('AWQConfig', 1, {
    baseConfig: field(nested, null),
    step: field<string>(step, 'prepare'),
    scaleSearchSpaceSize: field(int, 20),
  }),
  foreign('SmoothQuantConfig', 1, {
    baseConfig: field(nested, null),
    step: field<string>(step, 'prepare'),
    alpha: field<number | null>(optional(float), 0.5),
    useRunningAbsmax: field(bool, false),
  }),
  foreign('GPTQConfig', 1, {
    step: field(text, 'observe'),
    baseConfig: field(nested, null),
    percdamp: field(float, 0.01),
    gptqQuantizeBlockSize: field(int, 256),
  }),
  foreign('QATConfig', 1, {
    baseConfig: field(nested, null),
    activationConfig: field(nested, null),
    weightConfig: field(nested, null),
    step: field<string>(qatStep, 'prepare'),
  }),
  foreign('Int8MixedPrecisionTrainingConfig', 1, {
    output: field(bool, true),
    gradInput: field(bool, true),
    gradWeight: field(bool, true),
    moduleSwap: field(bool, false),
  }),
  foreign('Int8WeightOnlyQuantizedTrainingConfig', 1, {}),
  foreign('BitNetTrainingConfig', 1, {}),
  foreign('Float8TrainingOpConfig', 1, {
    float8Dtype: field<string>(float8Dtype, 'float8_e4m3fn'),
    outDtype: field<string>(floats, 'bfloat16'),
    padTokenGroupsForGroupedMm: field(bool, false),
    float8LinearRecipe: field(text, 'rowwise'),
  }),
  foreign('MXFP8TrainingOpConfig', 1, {
    kernelPreference: field<string>(kernelPreference, 'AUTO'),
    outDtype: field<string>(floats, 'bfloat16'),
    wgradWithHp: field(bool, false),
    scaleCalculationMode: field<string>(scalingMode, 'RCEIL'),
    padTokenGroupsForGroupedMm: field(bool, false),
  }),
  foreign('BlockSparseWeightConfig', 1, { blocksize: field(int, 64) }),
  foreign('SemiSparseWeightConfig', 1, { algId: field(int, 0) }),
];

export const knownSpecs: readonly ConfigSpec<ForeignConfig>[] = /*@__PURE__*/ makeSpecs();
