// Every name of the documents of torchao, transformers and diffusers, and the config that it means.
import { isAoError } from '@ao/core';
import { describe, expect, it } from 'vitest';
import { configFromJson, configToJson } from '../src/config/codec.ts';
import type { AoConfig } from '../src/config/config.ts';
import { perGroup, perRow, perTensor } from '../src/config/granularity.ts';
import { int4WeightOnly } from '../src/config/int4-weight-only.ts';
import { int8DynamicActivationInt8Weight } from '../src/config/int8-dynamic-activation-int8-weight.ts';
import { int8DynamicActivationIntxWeight } from '../src/config/int8-dynamic-activation-intx-weight.ts';
import { int8StaticActivationInt8Weight } from '../src/config/int8-static-activation-int8-weight.ts';
import { int8WeightOnly } from '../src/config/int8-weight-only.ts';
import { intxWeightOnly } from '../src/config/intx-weight-only.ts';
import { parseScheme } from '../src/config/scheme.ts';
import { shorthandNames } from '../src/config/shorthands.ts';

const int4Dynamic = int8DynamicActivationIntxWeight({ weightDtype: 'int4', weightGranularity: perGroup(32) });
const float8 = 'Float8WeightOnlyConfig';
const float8Dynamic = 'Float8DynamicActivationFloat8WeightConfig';
const e4m3 = { activationDtype: 'float8_e4m3fn', weightDtype: 'float8_e4m3fn' };
const uintx = (bits: number) => ({ type: 'UIntXWeightOnlyConfig', dtype: `uint${bits}`, groupSize: 64 });
const fpx = (ebits: number, mbits: number) => ({ type: 'FPXWeightOnlyConfig', ebits, mbits });

/** Name, and its config whole or the fields that matter. */
const table: readonly (readonly [name: string, config: AoConfig | Readonly<Record<string, unknown>>])[] = [
  ...['int4wo', 'int4_weight_only', 'int_a16w4'].map((name) => [name, int4WeightOnly()] as const),
  ...['int8wo', 'int8_weight_only', 'int_a16w8'].map((name) => [name, int8WeightOnly()] as const),
  ...['int8dq', 'int8_dynamic_activation_int8_weight', 'int_a8w8'].map(
    (name) => [name, int8DynamicActivationInt8Weight()] as const,
  ),
  ...['int4dq', 'int8_dynamic_activation_int4_weight', 'int_a8w4'].map((name) => [name, int4Dynamic] as const),
  ['int8_dynamic_activation_intx_weight', int8DynamicActivationIntxWeight()],
  ['int8_static_activation_int8_weight', int8StaticActivationInt8Weight()],
  ['intx_weight_only', intxWeightOnly()],
  ...['float8wo', 'float8_weight_only', 'fp8wo', 'float8wo_e4m3', 'float8_e4m3_a16w8', 'float_a16w8'].map(
    (name) => [name, { type: float8, weightDtype: 'float8_e4m3fn' }] as const,
  ),
  ...['float8wo_e5m2', 'float8_e5m2_a16w8'].map(
    (name) => [name, { type: float8, weightDtype: 'float8_e5m2' }] as const,
  ),
  ...['float8dq', 'float8_dynamic_activation_float8_weight', 'fp8dq', 'float_a8w8', 'float8dq_e4m3'].map(
    (name) => [name, { type: float8Dynamic, ...e4m3 }] as const,
  ),
  ...['float8dq_e4m3_tensor', 'float8_e4m3_tensor'].map(
    (name) => [name, { type: float8Dynamic, ...e4m3, granularity: [perTensor(), perTensor()] }] as const,
  ),
  ...['float8dq_e4m3_row', 'float8_e4m3_row'].map(
    (name) => [name, { type: float8Dynamic, ...e4m3, granularity: [perRow(), perRow()] }] as const,
  ),
  ...['float8sq', 'float8_static_activation_float8_weight'].map(
    (name) => [name, { type: 'Float8StaticActivationFloat8WeightConfig' }] as const,
  ),
  ['float8_dynamic_activation_int4_weight', { type: 'Float8DynamicActivationInt4WeightConfig' }],
  ['uintx_weight_only', uintx(4)],
  ...[1, 2, 3, 4, 5, 6, 7].flatMap((b) => [[`uint${b}wo`, uintx(b)] as const, [`uint_a16w${b}`, uintx(b)] as const]),
  ['fpx_weight_only', fpx(3, 2)],
  ...(
    [
      [3, 1, 1],
      [4, 2, 1],
      [5, 2, 2],
      [6, 3, 2],
      [7, 3, 3],
    ] as const
  ).flatMap(([b, e, m]) => [`fp${b}`, `fp${b}wo`, `float_a16w${b}`].map((name) => [name, fpx(e, m)] as const)),
  ['nf4_weight_only', { type: 'NF4WeightOnlyConfig' }],
  ['nvfp4_weight_only', { type: 'NVFP4WeightOnlyConfig' }],
  ['nvfp4_dynamic_activation_nvfp4_weight', { type: 'NVFP4DynamicActivationNVFP4WeightConfig' }],
  ['mx_dynamic_activation_mx_weight', { type: 'MXDynamicActivationMXWeightConfig' }],
];

/** All fpX_eAmB with X of 3 to 7 bits, in both spellings. */
const splits = [3, 4, 5, 6, 7].flatMap((bits) =>
  Array.from({ length: bits - 1 }, (_, i) => [bits, i + 1, bits - i - 2] as const),
);

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isAoError(error, 'ERR_AO_CONFIG')) return error.message;
    throw error;
  }
  return 'nothing was thrown';
}

describe('names of the documents', () => {
  it.each(table)('%s', (name, config) => {
    const made = parseScheme(name);
    expect(made).toMatchObject(config);
    expect(configFromJson(configToJson(made))).toEqual(made);
  });

  it('are all in the table above', () =>
    expect([...table.map(([name]) => name)].sort()).toEqual([...shorthandNames()].sort()));

  it.each(splits)('fp%i_e%im%i', (bits, ebits, mbits) => {
    for (const m of 'mw') expect(parseScheme(`fp${bits}_e${ebits}${m}${mbits}`)).toMatchObject(fpx(ebits, mbits));
  });

  it.each([
    ['fp6_e3m3', 'are 7 bits, not 6. Fix: use fp7_e3m3'],
    ['fp5_e4w1', 'are 6 bits, not 5. Fix: use fp6_e4m1'],
    ['fp9_e4m4', 'give 3 to 8 bits in all'],
    ['fp2_e1m0', 'give 3 to 8 bits in all'],
    ['autoquant', 'measures a model'],
    ['int8_dynamic_activation_int8_semi_sparse_weight', 'needs sparse weights'],
  ])('%s is refused', (name, why) => expect(refusal(() => parseScheme(name))).toContain(why));
});

describe('their options', () => {
  it.each([
    ['int4_weight_only', { groupSize: 32 }, int4WeightOnly({ groupSize: 32 })],
    ['int4wo', { useHqq: true }, int4WeightOnly({ int4ChooseQparamsAlgorithm: 'HQQ' })],
    ['int8_weight_only', { groupSize: 64 }, int8WeightOnly({ granularity: perGroup(64) })],
    ['int8dq', { actMappingType: 'ASYMMETRIC' }, int8DynamicActivationInt8Weight({ actMappingType: 'ASYMMETRIC' })],
    [
      'int4dq',
      { groupSize: 64, mappingType: 'ASYMMETRIC' },
      int8DynamicActivationIntxWeight({
        weightDtype: 'int4',
        weightGranularity: perGroup(64),
        weightMappingType: 'ASYMMETRIC',
      }),
    ],
    ['uint4wo', { groupSize: 32 }, { ...uintx(4), groupSize: 32 }],
    ['fpx_weight_only', { ebits: 2, mbits: 1 }, fpx(2, 1)],
    ['float8wo_e5m2', { granularity: perTensor() }, { type: float8, granularity: perTensor() }],
  ] as const)('%s %o', (name, options, config) => expect(parseScheme(name, options)).toMatchObject(config));

  it('must be those of the config; names that say all take none', () => {
    expect(refusal(() => parseScheme('int8dq', { groupSize: 32 }))).toContain('has no option groupSize');
    expect(refusal(() => parseScheme('int4wo-32', { groupSize: 32 }))).toContain('takes no option groupSize');
  });
});

describe('a name that means nothing', () => {
  it.each([
    ['int9wo', ['int8wo', 'int4wo']],
    ['int8_wieght_only', ['int8_weight_only']],
    ['INT8WO', ['int8wo']],
    ['float8_e4m3_rows', ['float8_e4m3_row']],
    ['uint8wo', ['int8wo', 'uint1wo']],
    ['8da4', ['8da4w']],
  ])('%s', (name, near) => {
    const message = refusal(() => parseScheme(name));
    const [, list = ''] = /did you mean (.*?)\?/.exec(message) ?? [];
    for (const other of near) expect(list.split(', ')).toContain(other);
  });

  it('far from all gives the list alone', () => {
    const message = refusal(() => parseScheme('something else'));
    expect(message).not.toContain('did you mean');
    for (const name of shorthandNames()) expect(message).toContain(name);
  });
});
