// configByName(name, kwargs): the config that a string means. Read are torchao's function names ('int4_weight_only'), which
// transformers and diffusers took with keyword arguments, diffusers' short ones ('int4dq'), and parseScheme's ('int4wo-32').
import { AoError } from '@ao/core';
import {
  type AoConfig,
  int4WeightOnly,
  int8DynamicActivationInt8Weight,
  int8DynamicActivationIntxWeight,
  int8StaticActivationInt8Weight,
  int8WeightOnly,
  intxWeightOnly,
  parseScheme,
  perGroup,
  schemeHelp,
} from '@ao/quantization';

export type SchemeKwargs = Readonly<Record<string, unknown>>;
type Make = (kwargs: SchemeKwargs) => AoConfig;

/** torchao's int8_dynamic_activation_int4_weight: int4 in groups of 32 unless given, int8 activations per token. */
const int8DynamicActivationInt4Weight: Make = ({ groupSize = 32, ...rest }) =>
  int8DynamicActivationIntxWeight({ weightDtype: 'int4', weightGranularity: perGroup(groupSize as number), ...rest });

const NAMES: Readonly<Record<string, Make>> = {
  int4_weight_only: int4WeightOnly,
  int8_weight_only: int8WeightOnly,
  int8_dynamic_activation_int8_weight: int8DynamicActivationInt8Weight,
  int8_dynamic_activation_int4_weight: int8DynamicActivationInt4Weight,
  int8_dynamic_activation_intx_weight: int8DynamicActivationIntxWeight,
  int8_static_activation_int8_weight: int8StaticActivationInt8Weight,
  intx_weight_only: intxWeightOnly,
  int4wo: int4WeightOnly,
  int8wo: int8WeightOnly,
  int8dq: int8DynamicActivationInt8Weight,
  int4dq: int8DynamicActivationInt4Weight,
};

/** Names that the documents show and that mean nothing here yet: what they would be, and what to use. */
const MISSING: readonly (readonly [name: RegExp, what: string, instead: string])[] = [
  [/^float8(sq|.*static)/, 'Float8StaticActivationFloat8WeightConfig', "'int8_dynamic_activation_int8_weight'"],
  [/^float8.*int4/, 'Float8DynamicActivationInt4WeightConfig', "'int8_dynamic_activation_int4_weight'"],
  [
    /^float8(dq|_dyn|_a1x128|_e\dm\d_(tensor|row))/,
    'Float8DynamicActivationFloat8WeightConfig',
    "'int8_dynamic_activation_int8_weight'",
  ],
  [/^float8/, 'Float8WeightOnlyConfig', "'int8_weight_only'"],
  [/^uint/, 'UIntxWeightOnlyConfig', "a signed form with zero points, as in 'intx4-asym-64'"],
  [/^fp\d|^fpx/, 'fpx_weight_only (torchao gave it up in 0.16)', "'intx6-32', which is as large"],
  [/^nf4/, 'NF4WeightOnlyConfig', "'int4_weight_only'"],
  [/^nvfp4/, 'NVFP4WeightOnlyConfig', "'int4_weight_only'"],
  [/^mx/, 'MXDynamicActivationMXWeightConfig', "'int8_dynamic_activation_int8_weight'"],
  [/^autoquant/, 'autoquant (torchao gave it up in 0.17)', 'a config per module: torchAoConfig(fqnToConfig({ ... }))'],
  [/sparse|marlin/, 'sparsity', "'int4_weight_only'"],
];

const error = (message: string, fix: string): AoError => new AoError('ERR_AO_CONFIG', message, { fix });

/** Throws ERR_AO_CONFIG for names that mean nothing, or nothing yet, and for options that their config does not have. */
export function configByName(name: string, kwargs: SchemeKwargs): AoConfig {
  const make = Object.hasOwn(NAMES, name) ? NAMES[name] : undefined;
  if (make !== undefined) return make(kwargs);
  const missing = MISSING.find(([pattern]) => pattern.test(name));
  if (missing !== undefined) {
    const [, what, instead] = missing;
    throw error(`scheme '${name}' is ${what}, which @ao/quantization does not have yet`, `use ${instead}`);
  }
  const names = `${Object.keys(NAMES).join(', ')}; or\n  ${schemeHelp().join('\n  ')}`;
  let config: AoConfig;
  try {
    config = parseScheme(name);
  } catch (cause) {
    if (/unknown scheme/.test((cause as Error).message)) throw error(`unknown scheme '${name}'`, `use one of ${names}`);
    throw cause;
  }
  const [extra] = Object.keys(kwargs);
  if (extra === undefined) return config;
  throw error(
    `scheme '${name}' takes no option ${extra}: its name says all`,
    `leave ${extra} out, or name the scheme by one of ${Object.keys(NAMES).join(', ')}`,
  );
}
