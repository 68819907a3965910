// TorchAoConfig against what Python's transformers 5.23 and torchao 0.18 write and quantize (golden/torchao-config.json, made by
// scripts/make-torchao-config.py).
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  fqnToConfig,
  int4WeightOnly,
  int8DynamicActivationInt8Weight,
  int8DynamicActivationIntxWeight,
  int8WeightOnly,
  intxWeightOnly,
  moduleFqnToConfig,
  parseScheme,
  perAxis,
  perGroup,
  perRow,
  perTensor,
} from '@ao/quantization';
import { describe, expect, test } from 'vitest';
import { parseModelConfig } from '../src/config/model-config.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import { familyOf } from '../src/models/family.ts';
import { outlineFor, planQuantization } from '../src/quantize/plan.ts';
import { quantizeCheckpoint } from '../src/quantize/quantize-checkpoint.ts';
import {
  type TorchAoConfig,
  torchAoConfig,
  torchAoConfigFromJson,
  torchAoConfigToJsonString,
} from '../src/quantize/torchao-config.ts';
import { tinyLlama } from './tiny.ts';

interface Golden {
  readonly configs: Readonly<Record<string, string>>;
  readonly plain: Readonly<Record<'tied' | 'untied', string>>;
  readonly saved: Readonly<Record<string, { readonly quantized?: string[]; readonly config?: string }>>;
}
const golden = JSON.parse(readFileSync(new URL('./golden/torchao-config.json', import.meta.url), 'utf8')) as Golden;

const int8 = int8WeightOnly();
const intx4 = intxWeightOnly({ weightDtype: 'int4', granularity: perGroup(32) });
const embed = intxWeightOnly({ weightDtype: 'int8', granularity: perAxis(0) });
const da4w = int8DynamicActivationIntxWeight({ weightDtype: 'int4', weightGranularity: perGroup(32) });
const ends = { includeInputOutputEmbeddings: true, untieEmbeddingWeights: true };
const rules: [string, typeof int8 | typeof intx4 | null][] = [
  ['re:.*down_proj', int8],
  ['model.layers.0.self_attn.q_proj', null],
  ['_default', intx4],
];
const ours: Readonly<Record<string, TorchAoConfig>> = {
  int8: torchAoConfig('int8_weight_only'),
  int8dq: torchAoConfig('int8_dynamic_activation_int8_weight', { modulesToNotConvert: ['lm_head'] }),
  'int8dq-asym': torchAoConfig(int8DynamicActivationInt8Weight({ granularity: [perTensor(), perRow()] })),
  int4: torchAoConfig('int4_weight_only', { groupSize: 32 }),
  intx4: torchAoConfig(intx4, { includeInputOutputEmbeddings: true }),
  '8da4w': torchAoConfig('int8_dynamic_activation_int4_weight', { groupSize: 32, modulesToNotConvert: [] }),
  'per-module': torchAoConfig(fqnToConfig(rules), { modulesToNotConvert: ['model.layers.1.mlp'] }),
  untied: torchAoConfig(
    moduleFqnToConfig([
      ['model.embed_tokens', embed],
      ['lm_head', da4w],
      ['_default', da4w],
    ]),
    ends,
  ),
};

test.each(Object.keys(ours))('%s is written byte for byte as Python writes it', (name) => {
  expect(torchAoConfigToJsonString(ours[name]!)).toBe(golden.configs[name]);
});

test.each(Object.keys(golden.configs))('%s as Python wrote it is read, and written again byte for byte', (name) => {
  const text = golden.configs[name]!;
  expect(torchAoConfigToJsonString(torchAoConfigFromJson(JSON.parse(text), 'golden'))).toBe(text);
});

const skips: Readonly<Record<string, readonly string[] | null>> = {
  none: null,
  empty: [],
  head: ['lm_head'],
  layer: ['model.layers.1'],
  module: ['model.layers.0.mlp.up_proj'],
  parameter: ['model.layers.0.mlp.up_proj.weight'],
  end: ['up_proj'],
  'end-weight': ['up_proj.weight'],
  regex: ['model.layers.*.up_proj'],
  'regex-all': ['.*_proj'],
  prefix: ['model.lay'],
  boundary: ['model.layers.1.mlp.up'],
  alternatives: ['model.layers.0.mlp|model.layers.1.self_attn'],
  nothing: ['absent'],
};

const cases: Readonly<Record<string, TorchAoConfig>> = {
  ...ours,
  ...Object.fromEntries(
    Object.entries(skips).map(([name, modulesToNotConvert]) => [
      `skip-${name}`,
      torchAoConfig(int8, { modulesToNotConvert }),
    ]),
  ),
  'include-skip': torchAoConfig(int8, {
    modulesToNotConvert: ['lm_head', 'model.layers.0'],
    includeInputOutputEmbeddings: true,
  }),
  'untie-only': torchAoConfig(intx4, { untieEmbeddingWeights: true }),
  'untie-include': torchAoConfig(embed, ends),
};

/** Where we do what the documents say and transformers 5.23 does not. */
const departures: Readonly<Record<string, readonly string[]>> = {
  // a name of a module ends so too: transformers asks with 'up_proj.weight' and leaves nothing
  'skip-end': ['-model.layers.0.mlp.up_proj.weight', '-model.layers.1.mlp.up_proj.weight'],
  'skip-end untied': ['-model.layers.0.mlp.up_proj.weight', '-model.layers.1.mlp.up_proj.weight'],
  // a plain config and includeInputOutputEmbeddings: torchao's own filter drops the embedding without a word
  intx4: ['+model.embed_tokens.weight'],
  'intx4 untied': ['+model.embed_tokens.weight'],
  'include-skip untied': ['+model.embed_tokens.weight'],
  'untie-include': ['+lm_head.weight', '+model.embed_tokens.weight'],
  // transformers overwrites the quantized head by the plain embedding
  'untied untied': ['+lm_head.weight'],
};

describe('which weights are quantized', () => {
  const asked = Object.keys(golden.saved).filter((name) => golden.saved[name]!.quantized);
  test.each(asked)('%s', (name) => {
    const tied = !name.endsWith(' untied');
    const config = cases[name.replace(/ untied$/, '')]!;
    const model = parseModelConfig(JSON.parse(golden.plain[tied ? 'tied' : 'untied']), 'golden');
    const { outline } = outlineFor(familyOf(model), model, config);
    const names = planQuantization(outline, config)
      .parameters.filter((p) => p.config !== null)
      .map((p) => p.parameter.name);
    const python = new Set(golden.saved[name]!.quantized);
    const more = names.filter((n) => !python.has(n)).map((n) => `+${n}`);
    const less = [...python].filter((n) => !names.includes(n)).map((n) => `-${n}`);
    expect([...more, ...less].sort()).toEqual(departures[name] ?? []);
  });

  test('a name that matches nothing is told, one that matches what stays anyway is not', () => {
    const model = parseModelConfig(JSON.parse(golden.plain.untied), 'golden');
    const { outline } = outlineFor(familyOf(model), model);
    const unused = (modulesToNotConvert: string[]) =>
      planQuantization(outline, torchAoConfig(int8, { modulesToNotConvert })).unusedRules;
    expect(unused(['lm_head', 'model.layers.7', 'model.norm', 'model.embed_tokens'])).toEqual(['model.layers.7']);
    expect(() => unused(['*_proj'])).toThrow(
      /modulesToNotConvert has '\*_proj'.*Nothing to repeat.*regular expressions/s,
    );
  });
});

describe('config.json of a quantized folder equals what Python saves, byte for byte', () => {
  const saved = Object.entries(golden.saved).filter(([, { config }]) => config !== undefined);
  // there the head of our file is quantized, that of Python's is not; config.json is the same
  test.each(saved)('%s', async (name, { config: text }) => {
    const tied = !name.endsWith(' untied');
    const config = cases[name.replace(/ untied$/, '')]!;
    const tiny = await tinyLlama({ config: golden.plain[tied ? 'tied' : 'untied'] });
    try {
      await quantizeCheckpoint(tiny.folder, tiny.scratch, { quantizationConfig: config, device: 'reference' });
      const want =
        name === 'untie-include' ? text!.replace('"tie_word_embeddings": true', '"tie_word_embeddings": false') : text;
      expect(await readFile(join(tiny.scratch, 'config.json'), 'utf8')).toBe(want);
      const model = await AutoModelForCausalLM.fromPretrained(tiny.scratch, { device: 'reference' });
      await model.savePretrained(join(tiny.scratch, 'again'));
      expect(await readFile(join(tiny.scratch, 'again', 'config.json'), 'utf8')).toBe(want);
      await model.rt.close();
    } finally {
      await tiny.remove();
    }
  });
});

describe('strings', () => {
  test('torchao’s names take the options of their config, diffusers’ short ones too, schemes say all by themselves', () => {
    const type = (...args: Parameters<typeof torchAoConfig>) => torchAoConfig(...args).quantType;
    expect(type('int4_weight_only')).toEqual(int4WeightOnly());
    expect(type('int4wo', { groupSize: 64 } as never)).toEqual(int4WeightOnly({ groupSize: 64 }));
    expect(type('int8_weight_only', { groupSize: 32 } as never)).toEqual(int8WeightOnly({ granularity: perGroup(32) }));
    expect(type('int8dq')).toEqual(int8DynamicActivationInt8Weight());
    expect(type('int4dq')).toEqual(da4w);
    expect(type('intx_weight_only', { weightDtype: 'int3' } as never)).toEqual(intxWeightOnly({ weightDtype: 'int3' }));
    expect(type('8da4w-32')).toEqual(parseScheme('8da4w-32'));
    expect(torchAoConfig('int8wo', { modulesToNotConvert: ['lm_head'] }).modulesToNotConvert).toEqual(['lm_head']);
  });

  test.each([
    ['int9wo', {}, /unknown scheme 'int9wo'.*did you mean int4wo, int8wo.*int4wo\[-tiles\]/s],
    ['toString', {}, /unknown scheme 'toString'/],
    ['int4_weight_only', { group: 32 }, /Int4WeightOnlyConfig has no option group/],
    ['int4_weight_only', { groupSize: 17 }, /group size 17 is not supported/],
    ['int4wo-32', { groupSize: 32 }, /takes no option groupSize: its name says all/],
  ] as const)('%s %o is an error that says what there is', (name, options, message) => {
    expect(() => torchAoConfig(name, options)).toThrow(message);
  });

  test('a config takes no further options, names must be names, older names are read', () => {
    expect(() => torchAoConfig(int8, { groupSize: 32 } as never)).toThrow(
      /has no option groupSize.*into the config itself/,
    );
    expect(() => torchAoConfig(int8, { modulesToNotConvert: 'lm_head' as never })).toThrow(
      /modulesToNotConvert is "lm_head"/,
    );
    expect(torchAoConfig(int8, { includeEmbedding: true }).includeInputOutputEmbeddings).toBe(true);
    expect(() => torchAoConfig(null as never)).toThrow(/torchAoConfig got null/);
  });
});
