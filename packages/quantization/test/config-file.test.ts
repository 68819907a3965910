// Config files: what a person reads and edits gives the same configs back, and what is wrong is named.
import { expect, it } from 'vitest';
import {
  configFromFile,
  configToFile,
  configToJson,
  fqnToConfig,
  int4WeightOnly,
  int8WeightOnly,
  intxWeightOnly,
  parseScheme,
  perGroup,
} from '../src/index.ts';

const table = fqnToConfig({
  'model.layers.0.mlp.up_proj': int4WeightOnly({ groupSize: 32 }),
  're:.*down_proj': int8WeightOnly({ activation: 'int8-group' }),
  lm_head: null,
  // has a short name that says less
  'model.layers.1.mlp.up_proj': intxWeightOnly({
    weightDtype: 'int5',
    granularity: perGroup(32),
    scaleDtype: 'float16',
  }),
  _default: parseScheme('8da4w-32'),
});

it('one line a module, short names where they say all', () => {
  const text = configToFile(table);
  expect(text.split('\n').slice(0, 4)).toEqual([
    '{',
    '  "model.layers.0.mlp.up_proj": "int4wo-32",',
    '  "re:.*down_proj": "int8wo:int8-group",',
    '  "lm_head": null,',
  ]);
  expect(configFromFile(text)).toEqual(table);
  expect(text).toContain('"scale_dtype"');
});

it('one config is _default; torchao’s JSON and a config inside an object are read too', () => {
  const one = int8WeightOnly();
  expect(configToFile(one)).toBe('{\n  "_default": "int8wo"\n}\n');
  expect(configFromFile(configToFile(one))).toEqual(fqnToConfig({ _default: one }));
  expect(configFromFile(configToJson(one))).toEqual(one);
  expect(configFromFile(configToJson(table))).toEqual(table);
  expect(configFromFile(`{"note": 1, "config": ${configToFile(table)}}`)).toEqual(table);
  expect(configFromFile('"int4wo-32"')).toEqual(int4WeightOnly({ groupSize: 32 }));
});

it('errors name the entry and what it may be', () => {
  expect(() => configFromFile('{', 'mix.json')).toThrow(/mix\.json is no JSON/);
  expect(() => configFromFile('[]', 'mix.json')).toThrow(/modules and schemes/);
  expect(() => configFromFile('{"lm_head": 4}', 'mix.json')).toThrow(/mix\.json\["lm_head"\].*null/);
  expect(() => configFromFile('{"lm_head": "int9wo"}')).toThrow(/unknown scheme 'int9wo'/);
});
