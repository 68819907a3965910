import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AutoTokenizer } from '../src/tokenizer/auto-tokenizer.ts';
import { TextStream } from '../src/tokenizer/text-stream.ts';
import type { Tokenizer } from '../src/tokenizer/tokenizer.ts';
import { sentencePiece } from './sentencepiece.ts';
import { STORIES } from './stories.ts';

const bytes = (ids: readonly number[]): string => new TextDecoder().decode(Uint8Array.from(ids));

test('pieces of any byte sequence join to the whole, and no piece ends inside a character', () => {
  fc.assert(
    fc.property(fc.oneof(fc.array(fc.integer({ min: 1, max: 255 })), utf8Bytes()), (ids) => {
      const stream = new TextStream(bytes);
      const pieces = ids.map((id) => stream.push(id));
      expect(pieces.join('') + stream.end()).toBe(bytes(ids));
    }),
    { numRuns: 2000 },
  );
});

test('a character of four bytes comes out whole, with its last byte', () => {
  const stream = new TextStream(bytes);
  const pieces = [...new TextEncoder().encode('a😀b')].map((id) => stream.push(id));
  expect(pieces).toEqual(['a', '', '', '', '😀', 'b']);
});

test('the cost of a token does not grow with the text', () => {
  let longest = 0;
  const stream = new TextStream((ids) => {
    longest = Math.max(longest, ids.length);
    return bytes(ids);
  });
  for (let i = 0; i < 1000; i++) stream.push(97 + (i % 26));
  expect(longest).toBeLessThan(8);
});

test('a real vocabulary: pieces join to the decoded whole', async () => {
  const tokenizer = await AutoTokenizer.fromPretrained(STORIES);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 4095 }), { maxLength: 40 }), (ids) => {
      const stream = tokenizer.stream();
      expect(ids.map((id) => stream.push(id)).join('') + stream.end()).toBe(tokenizer.decode(ids));
    }),
    { numRuns: 300 },
  );
});

const tokenizers: readonly (readonly [string, () => Promise<Tokenizer> | Tokenizer])[] = [
  ['byte-level', () => AutoTokenizer.fromPretrained(STORIES)],
  ['sentencepiece', sentencePiece],
];

test.each(tokenizers)(
  'emoji, CJK and what is joined from them come out by whole characters, %s',
  async (_name, load) => {
    const tokenizer = await load();
    const family = '日本 😀👩‍👩‍👧 é🇩🇪 ab';
    const script = fc.constantFrom('😀', '日', '本', '한', 'é', '👩‍👧', 'a', ' ', '🇩🇪', 'ß', '\u{10FFFF}');
    fc.assert(
      fc.property(
        fc.oneof(fc.constant(family), fc.string({ unit: script }), fc.string({ unit: 'grapheme' })),
        (text) => {
          const stream = tokenizer.stream();
          const ids = tokenizer.encode(text, { addSpecialTokens: false });
          const pieces = [...ids.map((id) => stream.push(id)), stream.end()];
          expect(pieces.join('')).toBe(tokenizer.decode(ids));
          // half a character would be U+FFFD or half of a surrogate pair
          for (const piece of pieces) expect(piece).not.toMatch(/[\p{Surrogate}\uFFFD]/u);
        },
      ),
      { numRuns: 400 },
    );
  },
);

test.each(tokenizers)('the bytes of tokens are those of the text, %s', async (name, load) => {
  const tokenizer = await load();
  const tokens = tokenizer.tokenBytes();
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const ids = tokenizer.encode(text, { addSpecialTokens: false });
      const bytes = ids.flatMap((id) => [...tokens[id]!]);
      const lead = name === 'sentencepiece' && ids.length > 0 ? ' ' : '';
      expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(lead + tokenizer.decode(ids));
    }),
    { numRuns: 300 },
  );
  expect(tokens[0]).toBeUndefined();
});

function utf8Bytes(): fc.Arbitrary<number[]> {
  return fc.string({ unit: 'binary' }).map((text) => [...new TextEncoder().encode(text)]);
}
