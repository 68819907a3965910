// Constrained output: whatever the logits, the text is a value that the schema allows. A model at a temperature of 50 chooses
// among all that the mask lets through, so that one wrong bit shows as an invalid text.
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { autoRuntime } from '../src/auto-runtime.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import type { ResponseFormat } from '../src/generate/response-format.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { AutoTokenizer } from '../src/tokenizer/auto-tokenizer.ts';
import type { Tokenizer } from '../src/tokenizer/tokenizer.ts';
import { STORIES } from './stories.ts';

const SCHEMAS: Readonly<Record<string, Record<string, unknown>>> = {
  'required and optional members': {
    type: 'object',
    properties: {
      name: { type: 'string', maxLength: 12 },
      'a "key"\n': { type: 'boolean' },
      age: { type: 'integer', minimum: 0, maximum: 120 },
      tags: { type: 'array', items: { enum: ['x', 'é', '😀', 1, null, { a: ['"'] }] }, maxItems: 4 },
    },
    required: ['name', 'age'],
    additionalProperties: false,
  },
  'all optional': {
    type: 'object',
    properties: { a: { type: 'null' }, b: { const: 'b' }, c: { type: ['integer', 'null'] } },
    additionalProperties: false,
  },
  'a map beside members': {
    type: 'object',
    properties: { id: { type: 'integer' }, idea: { type: 'boolean' } },
    required: ['id'],
    additionalProperties: { type: 'string', maxLength: 5 },
  },
  'a tree': {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $defs: {
      node: {
        type: 'object',
        title: 'a node',
        properties: {
          value: { type: 'number' },
          children: { type: 'array', items: { $ref: '#/$defs/node' }, maxItems: 3 },
        },
        required: ['value', 'children'],
        additionalProperties: false,
      },
    },
    $ref: '#/$defs/node',
  },
  'tagged branches': {
    oneOf: [
      {
        type: 'object',
        properties: { kind: { const: 'circle' }, r: { type: 'number', exclusiveMinimum: 0, maximum: 2.5 } },
        required: ['kind', 'r'],
        additionalProperties: false,
      },
      {
        type: 'object',
        properties: { kind: { const: 'text' }, text: { type: 'string', minLength: 3, maxLength: 6 } },
        required: ['kind', 'text'],
        additionalProperties: false,
      },
      { type: 'null' },
    ],
  },
  'any of': {
    anyOf: [
      { type: 'string', maxLength: 9 },
      { type: 'integer' },
      { type: 'array', items: true, minItems: 2, maxItems: 3 },
    ],
  },
  'a tuple': {
    type: 'array',
    prefixItems: [{ type: 'boolean' }, { type: 'integer', exclusiveMinimum: -7, exclusiveMaximum: 12 }],
    items: { type: 'string', pattern: '^[A-Z]{2}"[^a-z\\d]\\\\?$' },
    minItems: 3,
    maxItems: 5,
  },
  'numbers between bounds': {
    type: 'array',
    items: { type: 'number', minimum: -12.75, maximum: 103.5 },
    minItems: 8,
    maxItems: 12,
  },
  patterns: {
    type: 'object',
    properties: {
      any: { type: 'string', pattern: '^.{4,8}$' },
      not: { type: 'string', pattern: '[^x]{3}' },
      word: { type: 'string', pattern: '(\\w+\\s){2}\\p{Lu}' },
      code: { type: 'string', pattern: '^(a|b[cd]){2,3}-\\u{1F600}$' },
    },
    required: ['any', 'not', 'word', 'code'],
    additionalProperties: false,
  },
  formats: {
    type: 'object',
    properties: Object.fromEntries(
      ['date', 'time', 'date-time', 'duration', 'uuid', 'ipv4', 'email', 'hostname', 'uri'].map((format) => [
        format,
        { type: 'string', format },
      ]),
    ),
    required: ['date', 'time', 'date-time', 'duration', 'uuid', 'ipv4', 'email', 'hostname', 'uri'],
    additionalProperties: false,
  },
};

describe('constrained output', () => {
  let model: CausalLM;
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    model = await AutoModelForCausalLM.fromPretrained(STORIES, { runtime: await autoRuntime(), dtype: 'float32' });
    tokenizer = await AutoTokenizer.fromPretrained(STORIES);
  });
  afterAll(() => model.rt.close());

  const ajv = new Ajv2020({ strict: true, strictTypes: false, strictTuples: false });
  formats.default(ajv);

  const texts = async (responseFormat: ResponseFormat, options: object = {}): Promise<string[]> => {
    const results = await model.generate('Once', {
      tokenizer,
      responseFormat,
      temperature: 50,
      maxNewTokens: 200,
      numReturnSequences: 8,
      seed: 3,
      ...options,
    });
    return results.map((r) => r.text);
  };

  test.each(Object.entries(SCHEMAS))('%s', async (_name, schema) => {
    const valid = ajv.compile(schema);
    const all = await texts({ type: 'json_schema', schema });
    for (const text of all) {
      const value: unknown = JSON.parse(text);
      expect(valid(value), `${text}: ${ajv.errorsText(valid.errors)}`).toBe(true);
    }
    expect(new Set(all).size).toBeGreaterThan(2);
  });

  test('JSON mode, a pattern, and greedy decoding of a batch', async () => {
    const all = await texts({ type: 'json_object' }, { maxNewTokens: 60 });
    for (const text of all) expect(typeof JSON.parse(text)).toBe('object');
    for (const text of await texts({ type: 'regex', pattern: '(yes|no), \\p{Lu}[^"]{3}[!?]' }))
      expect(text).toMatch(/^(yes|no), \p{Lu}[^"]{3}[!?]$/u);
    const schema = SCHEMAS['tagged branches']!;
    const prompts = ['A', 'The dog ran', 'Lily wanted to play'];
    const options = { tokenizer, responseFormat: { type: 'json_schema', schema }, maxNewTokens: 60 } as const;
    const together = await model.generate(prompts, options);
    for (const [i, prompt] of prompts.entries()) {
      const alone = await model.generate(prompt, options);
      expect(together[i]!.ids).toEqual(alone.ids);
      expect(alone.finishReason).toBe('stop');
      expect(ajv.validate(schema, JSON.parse(alone.text))).toBe(true);
    }
  });

  test('eager steps choose as captured ones, with penalties beside the mask', async () => {
    const responseFormat = { type: 'json_schema', schema: SCHEMAS['a tree']! } as const;
    const options = { repetitionPenalty: 1.3, maxNewTokens: 80, numReturnSequences: 3 };
    const captured = await texts(responseFormat, options);
    expect(await texts(responseFormat, { ...options, cacheImplementation: 'dynamic' })).toEqual(captured);
    for (const text of captured) expect(ajv.validate(responseFormat.schema, JSON.parse(text))).toBe(true);
  });

  test('a text that may go on ends at the model’s end id, or where tokens end', async () => {
    const schema = { type: 'integer' };
    // which is no digit then
    const eosTokenId = tokenizer.encode('9')[0]!;
    for (const text of await texts(
      { type: 'json_schema', schema },
      { eosTokenId, maxNewTokens: 12, numReturnSequences: 24 },
    ))
      expect(Number.isInteger(JSON.parse(text))).toBe(true);
  });

  test('refusals come before any work', async () => {
    const refused = (schema: object, options: object = {}) => texts({ type: 'json_schema', schema } as never, options);
    await expect(refused({ type: 'integer', multipleOf: 2 })).rejects.toThrow(
      /#: multipleOf of integer is not supported/,
    );
    await expect(refused({ const: 'once upon a time there was' }, { maxNewTokens: 3 })).rejects.toThrow(
      /the shortest text of responseFormat takes \d+ tokens, there is room for 3/,
    );
    await expect(
      refused({ const: 'a' }, { logitBias: { [tokenizer.encode('"a"')[0]!]: -Infinity, ...forbidQuotes() } }),
    ).rejects.toThrow(/token \d+ was chosen where responseFormat forbids it/);
  });

  /** Every token that begins with a quote, or with a space. */
  function forbidQuotes(): Record<number, number> {
    const all = tokenizer.tokenBytes().flatMap((b, id) => (b?.[0] === 0x22 || b?.[0] === 0x20 ? [id] : []));
    return Object.fromEntries(all.map((id) => [id, -Infinity]));
  }
});
