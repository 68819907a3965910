import { isAoError } from '@ao/core';
import { goldenCase } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import { configFromDict, schemeName } from '../src/config/codec.ts';
import { type FqnToConfig, fqnToConfig } from '../src/config/fqn-to-config.ts';
import { perAxis, perGroup, perTensor } from '../src/config/granularity.ts';
import { int4WeightOnly } from '../src/config/int4-weight-only.ts';
import { int8DynamicActivationInt8Weight } from '../src/config/int8-dynamic-activation-int8-weight.ts';
import { int8DynamicActivationIntxWeight } from '../src/config/int8-dynamic-activation-intx-weight.ts';
import { int8WeightOnly } from '../src/config/int8-weight-only.ts';
import { intxWeightOnly } from '../src/config/intx-weight-only.ts';
import { parseScheme, schemeHelp } from '../src/config/scheme.ts';
import { fqnMatchesFqnConfig, fqnRules, orderedRules, parseRule, resolveNames } from '../src/rules/rules.ts';

const int8 = int8WeightOnly();
const int4 = int4WeightOnly({ groupSize: 32 });
const group = { granularity: perGroup(32), weightDtype: 'int4' } as const;

describe('scheme names', () => {
  it.each([
    ['int8wo', int8],
    ['int8wo-32', int8WeightOnly({ granularity: perGroup(32) })],
    ['int8wo-tensor', int8WeightOnly({ granularity: perTensor() })],
    ['int8wo:int8-token', int8WeightOnly({ activation: 'int8-token' })],
    ['int8dq', int8DynamicActivationInt8Weight()],
    ['int8dq-asym', int8DynamicActivationInt8Weight({ actMappingType: 'ASYMMETRIC' })],
    ['int4wo-32', int4],
    ['int4wo-128', int4WeightOnly()],
    ['int4wo', int4WeightOnly()],
    ['int4wo_plain_g32', int4],
    ['int4wo-hqq-64', int4WeightOnly({ groupSize: 64, int4ChooseQparamsAlgorithm: 'HQQ' })],
    ['int4wo-32:int8-group', int4WeightOnly({ groupSize: 32, activation: 'int8-group' })],
    ['intx4-sym-32', intxWeightOnly(group)],
    ['intx4-32', intxWeightOnly(group)],
    ['int4wo_sym_g32', intxWeightOnly(group)],
    ['intx4wo_g32', intxWeightOnly(group)],
    ['intx4-asym-32', intxWeightOnly({ ...group, mappingType: 'ASYMMETRIC' })],
    ['int2wo_asym_g32', intxWeightOnly({ granularity: perGroup(32), weightDtype: 'int2', mappingType: 'ASYMMETRIC' })],
    ['intx4-hqq-32', intxWeightOnly({ ...group, intxChooseQparamsAlgorithm: 'HQQ_SCALE_ONLY' })],
    ['intx8', intxWeightOnly({ granularity: perAxis(0) })],
    ['8da4w-32', int8DynamicActivationIntxWeight({ weightDtype: 'int4' })],
    ['8da4w_g32', int8DynamicActivationIntxWeight({ weightDtype: 'int4' })],
    ['8da4w', int8DynamicActivationIntxWeight({ weightDtype: 'int4' })],
    [
      '8da4w-asym-64',
      int8DynamicActivationIntxWeight({
        weightDtype: 'int4',
        weightGranularity: perGroup(64),
        weightMappingType: 'ASYMMETRIC',
      }),
    ],
    ['8da8w-axis', int8DynamicActivationIntxWeight({ weightDtype: 'int8', weightGranularity: perAxis(0) })],
  ])('%s', (text, config) => {
    expect(parseScheme(text)).toEqual(config);
    if (!text.includes('8da8w')) expect(parseScheme(schemeName(config))).toEqual(config);
  });

  it.each(['int5wo-32', 'int4wo-32:fast', '8da4w-32:int8-group', 'gptq', '', 'intx9'])(
    '%s is refused with a list',
    (text) => {
      let message = '';
      try {
        parseScheme(text);
      } catch (error) {
        expect(isAoError(error, 'ERR_AO_CONFIG')).toBe(true);
        message = (error as Error).message;
      }
      expect(message).toContain(`'${text}'`);
      if (!text.includes(':')) for (const line of schemeHelp()) expect(message).toContain(line);
    },
  );
});

describe('ordered rules', () => {
  const rules = orderedRules([
    ['lm_head', null],
    ['re:.*down_proj', int8],
    ['model.layers.0.*', int4],
    ['model.layers.{1,2}.mlp.[gu]*_proj', int8],
    ['b.weight', int8],
  ]);
  const at = (fqn: string): string | undefined => rules.resolve(fqn, 'weight')?.pattern;

  it('takes the first that matches', () => {
    expect(at('model.layers.0.mlp.down_proj')).toBe('re:.*down_proj');
    expect(at('model.layers.0.mlp.up_proj')).toBe('model.layers.0.*');
    expect(at('model.layers.2.mlp.gate_proj')).toBe('model.layers.{1,2}.mlp.[gu]*_proj');
    expect(at('model.layers.3.mlp.gate_proj')).toBeUndefined();
    expect(at('b')).toBe('b.weight');
  });

  it('reads null as leave', () => expect(rules.resolve('lm_head', 'weight')).toMatchObject({ config: null, index: 0 }));

  it('needs a full match and treats dots in names literally', () => {
    expect(orderedRules([['re:down', int8]]).resolve('x.down', 'weight')).toBeUndefined();
    expect(orderedRules([['a.b', int8]]).resolve('axb', 'weight')).toBeUndefined();
    expect(orderedRules([['re:layers\\.(?P<n>\\d+)\\.x\\Z', int8]]).resolve('layers.12.x', 'weight')?.index).toBe(0);
  });

  it('reads rules from text', () => {
    expect(parseRule('re:.*=x=int8wo', parseScheme)).toEqual(['re:.*=x', int8]);
    expect(parseRule('lm_head=none', parseScheme)).toEqual(['lm_head', null]);
    expect(() => parseRule('lm_head', parseScheme)).toThrow('PATTERN=SCHEME');
    expect(() => orderedRules([['re:(', int8]])).toThrow("rule 're:('");
  });
});

describe('FqnToConfig', () => {
  const kinds: Record<string, string> = {
    Int8WeightOnlyConfig: 'Int8Tensor',
    Float8WeightOnlyConfig: 'Float8Tensor',
    IntxWeightOnlyConfig: 'IntxUnpackedToInt8Tensor',
  };

  it('decides the golden as torchao does', () => {
    const golden = goldenCase('linear/fqn_to_config');
    const rules = fqnRules(configFromDict(golden.config) as FqnToConfig);
    const facts = golden.facts ?? {};
    expect(Object.keys(facts)).toHaveLength(5);
    for (const [fqn, kind] of Object.entries(facts)) {
      const config = rules.resolve(fqn.replace('.weight', ''), 'weight')?.config ?? null;
      expect(config === null ? 'Tensor' : kinds[config.type], fqn).toBe(kind);
    }
  });

  // torchao applies every matching parameter pattern, and an exact parameter name together with patterns; its
  // documentation says that the first match is taken. One match is applied here.
  it('applies one match where torchao applies several', () => {
    const twice = fqnRules(
      fqnToConfig([
        ['re:a\\.weight', int8],
        ['re:.*weight', int4],
      ]),
    );
    expect(twice.resolve('a', 'weight')).toMatchObject({ config: int8, index: 0 });
    const exact = fqnRules(
      fqnToConfig([
        ['re:a\\.weight', int4],
        ['a.weight', int8],
      ]),
    );
    expect(exact.resolve('a', 'weight')).toMatchObject({ config: int8, index: 1 });
  });

  it('orders parameter before module and exact before pattern', () => {
    const rules = fqnRules(
      fqnToConfig([
        ['_default', int4],
        ['re:m', int4],
        ['re:m\\.weight', int8],
        ['n', null],
        ['n.weight', int8],
      ]),
    );
    expect(rules.resolve('m', 'weight')?.pattern).toBe('re:m\\.weight');
    expect(rules.resolve('m', 'bias')?.pattern).toBe('re:m');
    expect(rules.resolve('n', 'weight')?.pattern).toBe('n.weight');
    expect(rules.resolve('z', 'weight')?.pattern).toBe('_default');
  });

  it('takes the strongest match of several names, and the first name of equal ones', () => {
    const rules = fqnRules(
      fqnToConfig([
        ['re:.*', int4],
        ['m.experts.down_proj', int8],
        ['m.experts.2.down_proj', null],
      ]),
    );
    const at = (e: number) => resolveNames(rules, [`m.experts.${e}.down_proj.weight`, 'm.experts.down_proj'])?.pattern;
    expect(at(0)).toBe('m.experts.down_proj');
    expect(resolveNames(rules, ['x.weight', 'y'])?.pattern).toBe('re:.*');
    expect(resolveNames(orderedRules([['y', int8]]), ['x.weight', 'y'])?.index).toBe(0);
    expect(at(2)).toBe('m.experts.2.down_proj');
  });

  it('answers fqn_matches_fqn_config', () => {
    const config = fqnToConfig([
      ['a', int8],
      ['re:b.*', int8],
    ]);
    expect(['a', 'bc', 'cb'].map((fqn) => fqnMatchesFqnConfig(fqn, config))).toEqual([true, true, false]);
  });

  it('refuses duplicates and nesting', () => {
    expect(() =>
      fqnToConfig([
        ['a', int8],
        ['a', null],
      ]),
    ).toThrow('given twice');
    expect(() => fqnToConfig({ a: fqnToConfig({}) })).toThrow('another FqnToConfig');
  });
});
