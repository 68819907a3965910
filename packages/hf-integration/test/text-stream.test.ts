import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AutoTokenizer } from '../src/tokenizer/auto-tokenizer.ts';
import { TextStream } from '../src/tokenizer/text-stream.ts';
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

function utf8Bytes(): fc.Arbitrary<number[]> {
  return fc.string({ unit: 'binary' }).map((text) => [...new TextEncoder().encode(text)]);
}
