import { readFileSync } from 'node:fs';
import { isAoError } from '@ao/core';
import { goldenCases, goldenPath } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import { configFromDict, configFromJson, configToDict, configToJson } from '../src/config/codec.ts';
import { fqnToConfig } from '../src/config/fqn-to-config.ts';
import { perAxis, perGroup, perRow, perTensor } from '../src/config/granularity.ts';
import { int4WeightOnly } from '../src/config/int4-weight-only.ts';
import { int8DynamicActivationInt8Weight } from '../src/config/int8-dynamic-activation-int8-weight.ts';
import { int8DynamicActivationIntxWeight } from '../src/config/int8-dynamic-activation-intx-weight.ts';
import { int8WeightOnly } from '../src/config/int8-weight-only.ts';
import { intxWeightOnly } from '../src/config/intx-weight-only.ts';
import { type Json, pythonFloat, pythonJson } from '../src/config/python-json.ts';

/** JSON text with the numbers exactly as they stand in the source. */
function canonical(text: string): string {
  return pythonJson(JSON.parse(text) as Json);
}

function thrown(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isAoError(error, 'ERR_AO_CONFIG')) return error.message;
    throw error;
  }
  return 'nothing was thrown';
}

const configs = goldenCases((c) => c.config !== undefined).map((c) => [c.name, c.config] as const);

describe("config JSON is torchao's", () => {
  it('covers every config of the goldens', () => {
    expect(configs.length).toBeGreaterThan(200);
    for (const [name, json] of configs) {
      const config = configFromDict(json);
      expect(JSON.stringify(configToDict(config)), name).toBe(JSON.stringify(json));
      expect(configToDict(configFromDict(configToDict(config))), name).toEqual(json);
    }
  });

  // configs.json: every config class of torchao 0.18, by scripts/make-configs.py
  const texts = JSON.parse(readFileSync(new URL('./golden/configs.json', import.meta.url), 'utf8')) as string[];
  it.each(texts.map((text) => [/"_type": "(\w+)/.exec(text)?.[1], text]))('%s, as Python writes it', (_type, text) => {
    const config = configFromJson(text);
    expect(configToJson(config)).toBe(text);
    expect(configFromJson(configToJson(config))).toEqual(config);
  });

  it.each(['8da4w', 'float8wo', 'int8dq', 'int8wo', 'intx4'])(
    'round-trips checkpoint_%s.config.json to the same text',
    (name) => {
      const text = readFileSync(goldenPath(`checkpoint_${name}.config.json`), 'utf8');
      const file = JSON.parse(text) as { quantization_config: { quant_type: { default: unknown } } };
      file.quantization_config.quant_type.default = configToDict(
        configFromDict(file.quantization_config.quant_type.default),
      );
      expect(pythonJson(file as unknown as Json, { indent: 1 })).toBe(text.trimEnd());
    },
  );

  it('writes the defaults of each factory as torchao does', () => {
    expect(configToJson(int8WeightOnly())).toBe(
      '{"_type": "Int8WeightOnlyConfig", "_version": 2, "_data": {"group_size": null, "granularity": {"_type": "PerRow", "_version": 1, "_data": {"dim": -1}}, "set_inductor_config": true}}',
    );
    expect(configToJson(int4WeightOnly())).toBe(
      '{"_type": "Int4WeightOnlyConfig", "_version": 2, "_data": {"group_size": 128, "set_inductor_config": true, "int4_packing_format": {"_type": "Int4PackingFormat", "_data": "PLAIN"}, "int4_choose_qparams_algorithm": {"_type": "Int4ChooseQParamsAlgorithm", "_data": "TINYGEMM"}, "int4_tile_packed_ntile": 8}}',
    );
    expect(configToJson(int8DynamicActivationIntxWeight())).toBe(
      '{"_type": "Int8DynamicActivationIntxWeightConfig", "_version": 2, "_data": {"weight_dtype": {"_type": "torch.dtype", "_data": "int8"}, "weight_granularity": {"_type": "PerGroup", "_version": 1, "_data": {"group_size": 32}}, "weight_mapping_type": {"_type": "MappingType", "_data": "SYMMETRIC"}, "weight_scale_dtype": null, "act_mapping_type": {"_type": "MappingType", "_data": "ASYMMETRIC"}, "intx_packing_format": {"_type": "IntxPackingFormat", "_data": "UNPACKED_TO_INT8"}, "intx_choose_qparams_algorithm": {"_type": "IntxChooseQParamsAlgorithm", "_data": "AFFINE"}}}',
    );
    expect(canonical(configToJson(int8DynamicActivationInt8Weight()))).toContain('"weight_only_decode": false');
  });

  it("keeps our own fields beside torchao's, and only where they differ from the default", () => {
    const fast = int4WeightOnly({ groupSize: 32, activation: 'int8-group' });
    const dict = configToDict(fast);
    expect(dict.ao).toEqual({ activation: 'int8-group' });
    expect(dict._data).not.toHaveProperty('activation');
    expect(configFromDict(dict)).toEqual(fast);
    expect(configToDict(int4WeightOnly({ activation: 'exact' }))).not.toHaveProperty('ao');
  });

  it('keeps a string-valued enum a string and a member a member', () => {
    const dict = configToDict(int4WeightOnly({ int4ChooseQparamsAlgorithm: 'hqq' }))._data as Record<string, unknown>;
    expect(dict.int4_choose_qparams_algorithm).toBe('hqq');
    expect(intxWeightOnly({ mappingType: 'asymmetric' }).mappingType).toBe('ASYMMETRIC');
  });

  it('rejects what it does not know', () => {
    const good = configToDict(int8WeightOnly());
    const data = good._data as object;
    expect(thrown(() => configFromDict({ ...good, _data: { ...data, colour: 1 } }))).toContain('no field colour');
    expect(thrown(() => configFromDict({ ...good, ao: { speed: 9 } }))).toContain('no ao field speed');
    expect(thrown(() => configFromDict({ ...good, extra: 1 }))).toContain('unknown entry extra');
    expect(thrown(() => configFromDict({ ...good, _version: 1 }))).toContain('version 1');
    expect(thrown(() => configFromDict({ _type: 'NoSuchConfig', _data: {} }))).toContain(
      'unknown config type NoSuchConfig',
    );
    expect(
      thrown(() =>
        configFromDict({
          ...good,
          _data: { ...data, granularity: { _type: 'PerAxis', _version: 1, _data: { axis: 0 } } },
        }),
      ),
    ).toContain('PerTensor or PerRow or PerGroup');
    expect(thrown(() => configFromDict('int8'))).toContain('_type');
  });

  it('writes an FqnToConfig under both of its names, in order, and reads the old one alone', () => {
    const config = fqnToConfig({ 're:.*down_proj': int8WeightOnly(), lm_head: null });
    const dict = configToDict(config);
    const data = dict._data as Record<string, Record<string, unknown>>;
    expect(Object.keys(data)).toEqual(['fqn_to_config', 'module_fqn_to_config']);
    expect(Object.keys(data.fqn_to_config ?? {})).toEqual(['re:.*down_proj', 'lm_head']);
    expect(configFromDict({ ...dict, _data: { module_fqn_to_config: data.module_fqn_to_config } })).toEqual(config);
    expect(configFromDict({ ...dict, _type: 'ModuleFqnToConfig' })).toEqual(config);
    expect(thrown(() => configFromDict({ ...dict, _data: { ...data, module_fqn_to_config: { a: null } } }))).toContain(
      'differ',
    );
  });
});

describe('python floats', () => {
  it.each([
    [1, '1.0'],
    [-0, '-0.0'],
    [0.1, '0.1'],
    [1e-4, '0.0001'],
    [1e-5, '1e-05'],
    [1.5e-7, '1.5e-07'],
    [1e15, '1000000000000000.0'],
    [1e16, '1e+16'],
    [123456789012345680000, '1.2345678901234568e+20'],
    [0.02500000037252903, '0.02500000037252903'],
    [1e300, '1e+300'],
    [Infinity, 'Infinity'],
  ])('%d prints as %s', (x, text) => expect(pythonFloat(x)).toBe(text));

  it('escapes as json.dumps does', () => {
    expect(pythonJson('é\u007f"\n😀')).toBe('"\\u00e9\\u007f\\"\\n\\ud83d\\ude00"');
    expect(pythonJson({ a: [], b: {} }, { indent: 2 })).toBe('{\n  "a": [],\n  "b": {}\n}');
    expect(pythonJson({ b: 1, a: 2 }, { sortKeys: true })).toBe('{"a": 2, "b": 1}');
  });
});

describe('options of torchao and transformers over time', () => {
  const table: [string, () => unknown, unknown][] = [
    [
      'Int8WeightOnlyConfig(group_size=128)',
      () => int8WeightOnly({ groupSize: 128 }),
      int8WeightOnly({ granularity: perGroup(128) }),
    ],
    ['Int8WeightOnlyConfig(group_size=None)', () => int8WeightOnly({ groupSize: null }), int8WeightOnly()],
    ['Int8WeightOnlyConfig(version=2)', () => int8WeightOnly({ version: 2 }), int8WeightOnly()],
    [
      'Int4WeightOnlyConfig(use_hqq=True)',
      () => int4WeightOnly({ useHqq: true }),
      int4WeightOnly({ int4ChooseQparamsAlgorithm: 'HQQ' }),
    ],
    ['Int4WeightOnlyConfig(use_hqq=False)', () => int4WeightOnly({ useHqq: false }), int4WeightOnly()],
    [
      'packing_format',
      () => int4WeightOnly({ packingFormat: 'plain' } as never),
      int4WeightOnly({ int4PackingFormat: 'plain' }),
    ],
    [
      'layout=PlainLayout()',
      () => int8DynamicActivationInt8Weight({ layout: { type: 'PlainLayout' } } as never),
      int8DynamicActivationInt8Weight(),
    ],
    [
      'Int8DynamicActivationInt4Weight(group_size)',
      () => int8DynamicActivationIntxWeight({ weightDtype: 'int4', groupSize: 64 }),
      int8DynamicActivationIntxWeight({ weightDtype: 'int4', weightGranularity: perGroup(64) }),
    ],
  ];
  it.each(table)('%s maps to what it means today', (_name, make, today) => expect(make()).toEqual(today));

  const refused: [string, () => unknown, string][] = [
    ['layout', () => int4WeightOnly({ layout: { type: 'TensorCoreTiledLayout' } } as never), 'leave layout out'],
    ['scheme', () => int8WeightOnly({ scheme: 'int8wo' } as never), "parseScheme('int4wo-32')"],
    ['version=1', () => int4WeightOnly({ version: 1 }), 'set it to 2'],
    ['groupSize with granularity', () => int8WeightOnly({ groupSize: 32, granularity: perRow() }), 'perGroup(32)'],
    [
      'useHqq against the algorithm',
      () => int4WeightOnly({ useHqq: true, int4ChooseQparamsAlgorithm: 'TINYGEMM' }),
      'leave useHqq out',
    ],
    ['zero_point_domain', () => int4WeightOnly({ zeroPointDomain: 'INT' } as never), 'intxWeightOnly'],
    ['preserve_zero', () => int4WeightOnly({ preserveZero: true } as never), 'intxWeightOnly'],
    ['an unknown option', () => int4WeightOnly({ bits: 4 } as never), 'use one of: groupSize'],
    ['an odd group size', () => int4WeightOnly({ groupSize: 48 }), '32, 64, 128, 256'],
    ['perAxis(1)', () => intxWeightOnly({ granularity: perAxis(1) }), 'perAxis(0)'],
    [
      'a packed ARM format',
      () => intxWeightOnly({ intxPackingFormat: 'OPAQUE_TORCHAO_AUTO' as never }),
      'UNPACKED_TO_INT8',
    ],
    [
      'symmetric 8da4w activations',
      () => int8DynamicActivationIntxWeight({ actMappingType: 'SYMMETRIC' as never }),
      'int8DynamicActivationInt8Weight',
    ],
    [
      'int1 without clipping error',
      () => intxWeightOnly({ weightDtype: 'int1', mappingType: 'SYMMETRIC_NO_CLIPPING_ERR' }),
      'ASYMMETRIC',
    ],
    ['perGroup(0)', () => perGroup(0), 'use 32'],
    [
      'granularity of the wrong type',
      () => int8WeightOnly({ granularity: perAxis(0) as never }),
      'PerTensor or PerRow or PerGroup',
    ],
  ];
  it.each(refused)('%s is an error that names the replacement', (_name, make, fix) =>
    expect(thrown(make)).toContain(fix),
  );

  it('configs are frozen plain data', () => {
    const config = int8WeightOnly({ granularity: perTensor() });
    expect(Object.isFrozen(config)).toBe(true);
    expect(structuredClone(config)).toEqual(config);
  });
});
