// byShorthand(name, options): the config that a name of the documents means. Read are torchao's function names
// ('int4_weight_only'), which transformers and diffusers took with keyword arguments, diffusers' short ones ('int4dq',
// 'fp6_e3m2') and its common speak ('int_a8w4': activations of 8 bits, weights of 4). A scheme's names are one row.
import type { AoConfig } from './config.ts';
import { configError } from './field.ts';
import { float8DynamicActivationFloat8Weight } from './float8-dynamic-activation-float8-weight.ts';
import { float8DynamicActivationInt4Weight } from './float8-dynamic-activation-int4-weight.ts';
import { float8StaticActivationFloat8Weight } from './float8-static-activation-float8-weight.ts';
import { float8WeightOnly } from './float8-weight-only.ts';
import { fpxWeightOnly } from './fpx-weight-only.ts';
import { perRow, perTensor } from './granularity.ts';
import { int4WeightOnly } from './int4-weight-only.ts';
import { int8DynamicActivationInt8Weight } from './int8-dynamic-activation-int8-weight.ts';
import {
  int8DynamicActivationInt4Weight,
  int8DynamicActivationIntxWeight,
} from './int8-dynamic-activation-intx-weight.ts';
import { int8StaticActivationInt8Weight } from './int8-static-activation-int8-weight.ts';
import { int8WeightOnly } from './int8-weight-only.ts';
import { intxWeightOnly } from './intx-weight-only.ts';
import { mxDynamicActivationMxWeight } from './mx.ts';
import { nf4WeightOnly } from './nf4-weight-only.ts';
import { nvfp4DynamicActivationNvfp4Weight, nvfp4WeightOnly } from './nvfp4.ts';
import { type UIntxDtype, uintxWeightOnly } from './uintx-weight-only.ts';

/** Keyword arguments of a scheme's config. */
export type SchemeKwargs = Readonly<Record<string, unknown>>;
type Make = (options: SchemeKwargs) => AoConfig;
type Row = readonly [names: string, make: Make, preset?: SchemeKwargs];

const uintx: Make = ({ dtype = 'uint4', ...rest }) => uintxWeightOnly({ dtype: dtype as UIntxDtype, ...rest });

const fpx: Make = ({ ebits = 3, mbits = 2, ...rest }) => fpxWeightOnly(ebits as number, mbits as number, rest);

const bits = (from: number): number[] => [1, 2, 3, 4, 5, 6, 7].slice(from - 1);

const makeRows = (): readonly Row[] => [
  ['int4_weight_only int4wo int_a16w4', int4WeightOnly],
  ['int8_weight_only int8wo int_a16w8', int8WeightOnly],
  ['intx_weight_only', intxWeightOnly],
  ['int8_dynamic_activation_int8_weight int8dq int_a8w8', int8DynamicActivationInt8Weight],
  ['int8_dynamic_activation_int4_weight int4dq int_a8w4', int8DynamicActivationInt4Weight],
  ['int8_dynamic_activation_intx_weight', int8DynamicActivationIntxWeight],
  ['int8_static_activation_int8_weight', int8StaticActivationInt8Weight],
  // diffusers' float8wo is e5m2; here it is torchao's default, which has one bit more of mantissa
  ['float8_weight_only float8wo fp8wo float_a16w8', float8WeightOnly],
  ['float8wo_e4m3 float8_e4m3_a16w8', float8WeightOnly, { weightDtype: 'float8_e4m3fn' }],
  ['float8wo_e5m2 float8_e5m2_a16w8', float8WeightOnly, { weightDtype: 'float8_e5m2' }],
  ['float8_dynamic_activation_float8_weight float8dq fp8dq float_a8w8', float8DynamicActivationFloat8Weight],
  ['float8dq_e4m3', float8DynamicActivationFloat8Weight, E4M3],
  [
    'float8dq_e4m3_tensor float8_e4m3_tensor',
    float8DynamicActivationFloat8Weight,
    { ...E4M3, granularity: perTensor() },
  ],
  ['float8dq_e4m3_row float8_e4m3_row', float8DynamicActivationFloat8Weight, { ...E4M3, granularity: perRow() }],
  ['float8_static_activation_float8_weight float8sq', float8StaticActivationFloat8Weight],
  ['float8_dynamic_activation_int4_weight', float8DynamicActivationInt4Weight],
  ['uintx_weight_only', uintx],
  ...bits(1).map((b): Row => [`uint${b}wo uint_a16w${b}`, uintx, { dtype: `uint${b}` }]),
  ['fpx_weight_only', fpx],
  ...bits(3).map((b): Row => [`fp${b} fp${b}wo float_a16w${b}`, fpx, evenSplit(b)]),
  ['nf4_weight_only', nf4WeightOnly],
  ['nvfp4_weight_only', nvfp4WeightOnly],
  ['nvfp4_dynamic_activation_nvfp4_weight', nvfp4DynamicActivationNvfp4Weight],
  ['mx_dynamic_activation_mx_weight', mxDynamicActivationMxWeight],
];

const E4M3 = { activationDtype: 'float8_e4m3fn', weightDtype: 'float8_e4m3fn' };

/** diffusers' format of a name without one: a sign, then exponent and mantissa alike, the exponent a bit more. */
const evenSplit = (bits: number): SchemeKwargs => ({
  ebits: Math.ceil((bits - 1) / 2),
  mbits: Math.floor((bits - 1) / 2),
});

/** 'fp6_e3m2', which the documents also write 'fp6_e3w2'. */
function fpxByName(name: string, options: SchemeKwargs): AoConfig | undefined {
  const match = /^fp(\d+)_e(\d+)[mw](\d+)$/.exec(name);
  if (match === null) return undefined;
  const [bits = 0, ebits = 0, mbits = 0] = match.slice(1).map(Number);
  if (bits !== 1 + ebits + mbits) {
    throw configError(
      `scheme '${name}': a sign, ${ebits} exponent and ${mbits} mantissa bits are ${1 + ebits + mbits} bits, not ${bits}`,
      `use fp${1 + ebits + mbits}_e${ebits}m${mbits}, or split ${bits} bits otherwise`,
    );
  }
  return fpx({ ...options, ebits, mbits });
}

/** What the documents show and is no config of a weight. */
const elsewhere: readonly (readonly [name: RegExp, what: string, fix: string])[] = [
  [
    /^autoquant/,
    'measures a model and gives each weight a scheme of its own',
    'call autoquant(model), or give a config per module: fqnToConfig({ ... })',
  ],
  [/sparse|marlin/, 'needs sparse weights, which @ao/quantization does not make', "use 'int4_weight_only'"],
];

/** Every name that has a row of its own. */
export function shorthandNames(): string[] {
  return makeRows().flatMap(([names]) => names.split(' '));
}

/** undefined where the documents have no such name; ERR_AO_CONFIG on options that the config does not have. */
export function byShorthand(name: string, options: SchemeKwargs): AoConfig | undefined {
  const row = makeRows().find(([names]) => names.split(' ').includes(name));
  if (row !== undefined) return row[1]({ ...row[2], ...options });
  const other = elsewhere.find(([pattern]) => pattern.test(name));
  if (other !== undefined) throw configError(`scheme '${name}' ${other[1]}`, other[2]);
  return fpxByName(name, options);
}
