// Grammars of schemas, without a model: random walks give values that Ajv takes, values that fit are taken, others refused.
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Automaton, type State } from '../src/grammar/automaton.ts';
import { Constraint, Matcher } from '../src/grammar/constraint.ts';
import { schemaText } from '../src/grammar/json-schema.ts';
import { TokenTrie } from '../src/grammar/token-trie.ts';
import { AutoTokenizer } from '../src/tokenizer/auto-tokenizer.ts';
import { sentencePiece } from './sentencepiece.ts';
import { STORIES } from './stories.ts';

type Schema = Record<string, unknown>;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const ajv = new Ajv2020({ strict: false });

async function automatonOf(schema: Schema | boolean): Promise<Automaton> {
  return new Automaton(await schemaText(schema), (text) => text.length);
}

function accepts(automaton: Automaton, text: string): boolean {
  let at: State | null = automaton.start;
  for (const byte of bytes(text)) at = at && automaton.step(at, byte);
  return at?.accepts === true;
}

/** A text by random steps; from `most` bytes on only steps that lead to its end. */
function walk(automaton: Automaton, next: () => number, most: number): string {
  const out: number[] = [];
  let at = automaton.start;
  while (!at.complete && !(at.accepts && next() < 0.2)) {
    const options = Array.from({ length: 256 }, (_, byte) => ({ byte, to: automaton.step(at, byte) })).filter(
      ({ to }) => to !== null && (out.length < most || to.least < at.least),
    );
    if (options.length === 0) break;
    const { byte, to } = options[Math.floor(next() * options.length)]!;
    out.push(byte);
    at = to!;
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(out));
}

const name = fc.constantFrom('a', 'ab', 'b', 'é', 'x"y', 'tab\t', '😀');
const { schema } = fc.letrec<{ schema: Schema }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<Schema>({ type: 'null' }, { type: 'boolean' }, {}, { type: ['string', 'null'] }),
    fc.record({
      enum: fc.uniqueArray(fc.jsonValue({ maxDepth: 1 }), { minLength: 1, maxLength: 4, selector: JSON.stringify }),
    }),
    fc.tuple(fc.nat(4), fc.nat(4)).map(([a, b]): Schema => ({ type: 'string', minLength: a, maxLength: a + b })),
    fc.tuple(fc.integer({ min: -300, max: 300 }), fc.nat(2000), fc.boolean()).map(
      ([low, size, exclusive]): Schema => ({
        type: 'integer',
        [exclusive ? 'exclusiveMinimum' : 'minimum']: low,
        maximum: low + size + 1,
      }),
    ),
    fc.tuple(fc.integer({ min: -30000, max: 30000 }), fc.nat(30000), fc.boolean()).map(
      ([low, size, exclusive]): Schema => ({
        type: 'number',
        minimum: low / 100,
        [exclusive ? 'exclusiveMaximum' : 'maximum']: (low + size + 1) / 100,
      }),
    ),
    fc
      .tuple(tie('schema'), fc.nat(2), fc.nat(3))
      .map(([items, min, more]): Schema => ({ type: 'array', items, minItems: min, maxItems: min + more })),
    fc
      .tuple(
        fc.dictionary(name, tie('schema'), { maxKeys: 4 }),
        fc.option(tie('schema')),
        fc.infiniteStream(fc.boolean()),
      )
      .map(
        ([properties, other, coin]): Schema => ({
          type: 'object',
          properties,
          required: Object.keys(properties).filter(() => coin.next().value),
          additionalProperties: other ?? false,
        }),
      ),
    fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map((anyOf): Schema => ({ anyOf })),
  ),
}));

describe('the grammar of a schema', () => {
  test('random texts are values that the schema allows', async () => {
    await fc.assert(
      fc.asyncProperty(schema, fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })), async (s, coins) => {
        const text = walk(await automatonOf(s), () => coins.next().value, 80);
        expect(ajv.validate(s, JSON.parse(text)), `${JSON.stringify(s)} ${text}`).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test.each([
    [{ type: 'integer', minimum: -3, maximum: 12 }, (n: number) => n],
    [{ type: 'integer', exclusiveMinimum: 98, maximum: 1001 }, (n: number) => n * 37],
    [{ type: 'number', minimum: -1.25, exclusiveMaximum: 3.5 }, (n: number) => n / 8],
    [{ type: 'number', exclusiveMinimum: 0 }, (n: number) => n / 4],
    [{ type: 'number', maximum: -0.5 }, (n: number) => n / 4],
    [{ type: 'integer', minimum: 2.5, maximum: 7.5 }, (n: number) => n],
  ])('%j takes a number where Ajv does', async (s, of) => {
    const automaton = await automatonOf(s);
    const numbers = Array.from({ length: 121 }, (_, i) => of(i - 60));
    const taken = numbers.map((n) => accepts(automaton, String(n)));
    expect(taken).toEqual(numbers.map((n) => ajv.validate(s, n)));
    expect(new Set(taken).size).toBe(2);
  });

  test.each<[Schema | boolean, string[], string[]]>([
    [
      { type: 'string', maxLength: 2 },
      ['""', '"é😀"', '"\\ud83d\\ude00x"', '"\\n\\u00e9"'],
      ['"abc"', '"\\ud83d"', '"\n"', '"'],
    ],
    [{ type: 'string', pattern: '^a"[\\\\\\n]$' }, ['"a\\"\\\\"', '"a\\"\\n"'], ['"a"\\"', '"a\\"n"']],
    [{ type: 'object' }, ['{}', '{"a": [1.5e-3, {"b":null}],\n  "c":""}'], ['[]', '{"a"}', '{"a":01}', '{"a":1,}']],
    [
      { properties: { a: { const: 1 }, b: true }, required: ['b'] },
      ['{"a":1, "b":"x"}', '{"b": []}'],
      ['{"a":1}', '{"b":1,"c":2}', '{"b":1,"a":1}'],
    ],
    [
      { properties: { ab: { type: 'null' } }, additionalProperties: { type: 'integer' } },
      ['{"ab":null,"a":1,"abc":2,"é":3}', '{"b":1}'],
      ['{"ab":1}', '{"a":null}', '{"ab":null,"ab":1}'],
    ],
    [{ enum: [1, 'x', null], type: ['integer', 'string'] }, ['1', '"x"'], ['null', '2']],
    [true, ['null', '[[], {}]', '-0.5E+10'], ['', 'nul', '+1']],
    [{ allOf: [{ $ref: '#/$defs/a~1b' }], $defs: { 'a/b': { type: 'boolean' } } }, ['true'], ['1']],
    [{ type: 'array', prefixItems: [{ type: 'null' }], minItems: 0 }, ['[]', '[null]'], ['[null,null]', '[1]']],
  ])('%j', async (s, good, bad) => {
    const automaton = await automatonOf(s);
    expect(good.filter((text) => !accepts(automaton, text))).toEqual([]);
    expect(bad.filter((text) => accepts(automaton, text))).toEqual([]);
  });

  test.each<[Schema, RegExp]>([
    [{ type: 'integer', multipleOf: 3 }, /#: multipleOf of integer is not supported/],
    [{ properties: { a: { type: 'array', uniqueItems: true } } }, /#\/properties\/a: uniqueItems of array is not/],
    [{ not: { type: 'null' } }, /#: not is not supported/],
    [{ type: 'object', patternProperties: { a: true } }, /patternProperties/],
    [{ anyOf: [{ type: 'null' }], minLength: 2 }, /minLength beside anyOf/],
    [{ allOf: [{ type: 'null' }, {}] }, /allOf of several schemas/],
    [{ type: 'string', pattern: 'a', minLength: 2 }, /minLength together with pattern|pattern together with minLength/],
    [{ type: 'string', pattern: 'a(?=b)' }, /\(\?=b\) in a\(\?=b\) is not supported/],
    [{ type: 'string', pattern: 'a^b' }, /\^ in a\^b is not supported/],
    [{ type: 'string', format: 'iri' }, /format iri .*there are date/],
    [{ type: 'number', minimum: 1e30 }, /a bound of 1e\+30/],
    [{ oneOf: [{ type: 'integer' }, { type: 'number' }] }, /branches 0 and 1 of oneOf may both hold/],
    [{ enum: [1], type: 'string' }, /none of the listed values fits/],
    [{ type: 'strin' }, /this is no JSON Schema/],
    [{ $ref: 'https://example.com/x' }, /this is no JSON Schema|is no place in this schema/],
    [{ $ref: '#/$defs/none' }, /this is no JSON Schema.*#\/\$defs\/none/],
  ])('%j is refused by what it needs', async (s, message) => {
    await expect(schemaText(s)).rejects.toThrow(message);
  });
});

describe('masks over a vocabulary', () => {
  test('allow exactly the tokens whose bytes may follow', async () => {
    const tokens = (await AutoTokenizer.fromPretrained(STORIES)).tokenBytes();
    const automaton = await automatonOf({
      type: 'object',
      properties: { text: { type: 'string', pattern: '[a-z ]{2,30}' }, n: { type: 'number' } },
    });
    const trie = new TokenTrie(tokens, tokens.length);
    const texts = ['', '{', '{"te', '{"text": "once u', '{"text":"on', '{"n":-', '{"n":1.2'];
    for (const text of texts) {
      let at: State | null = automaton.start;
      for (const byte of bytes(text)) at = at && automaton.step(at, byte);
      for (const left of [2, 12, Number.POSITIVE_INFINITY]) {
        const { mask } = trie.allowed(automaton, at!, left);
        const got = tokens.flatMap((_, id) => ((mask[id >> 5]! >> (id & 31)) & 1 ? [id] : []));
        const want = tokens.flatMap((own, id) => {
          let to: State | null = own?.length ? at : null;
          for (const byte of own ?? []) to = to && automaton.step(to, byte);
          return to !== null && to.least <= left ? [id] : [];
        });
        expect(got).toEqual(want);
        if (left > 12) expect(got.length).toBeGreaterThan(0);
      }
    }
  });

  test.each([
    ['byte-level', () => AutoTokenizer.fromPretrained(STORIES), 45],
    ['sentencepiece', async () => sentencePiece(), 80],
  ] as const)('what the shortest text takes suffices to end it, token by token, %s', async (_name, load, bound) => {
    const tokenizer = await load();
    const vocabSize = tokenizer.tokenBytes().length;
    const s = {
      type: 'object',
      properties: {
        description: { type: 'string', minLength: 3 },
        list: { type: 'array', items: { enum: ['once upon a time'] }, minItems: 2 },
      },
      required: ['description', 'list'],
    };
    const constraint = new Constraint(await schemaText(s), tokenizer.tokenBytes(), vocabSize, new Set());
    fc.assert(
      fc.property(fc.nat(6), fc.infiniteStream(fc.nat()), (spare, coins) => {
        const matcher = new Matcher(constraint);
        const ids: number[] = [];
        const most = constraint.least + spare;
        while (!matcher.complete && ids.length < most) {
          const mask = matcher.mask(most - ids.length - 1);
          const allowed = Array.from({ length: vocabSize }, (_, id) => id).filter(
            (id) => (mask[id >> 5]! >> (id & 31)) & 1,
          );
          const id = allowed[coins.next().value % allowed.length]!;
          ids.push(id);
          matcher.accept(id);
        }
        expect(ajv.validate(s, JSON.parse(tokenizer.decode(ids)))).toBe(true);
      }),
      { numRuns: 40 },
    );
    expect(constraint.least).toBeLessThan(bound);
  });

  test('a schema that needs itself has no text', async () => {
    const s = { $defs: { n: { properties: { next: { $ref: '#/$defs/n' } }, required: ['next'] } }, $ref: '#/$defs/n' };
    const root = await schemaText(s);
    expect(() => new Constraint(root, [bytes('a')], 1, new Set())).toThrow(/allows no text at all/);
  });
});
