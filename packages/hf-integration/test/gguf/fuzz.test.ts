import { expect, test } from 'vitest';
import { fuzzGguf } from '../../src/gguf/gguf.fuzz.ts';

// fuzz/gguf.mjs runs as many cases as one likes
test('a changed GGUF is read as it says or refused with a reason', () => {
  const { cases, rejected, opened } = fuzzGguf(20_000, 7);
  expect(cases).toBe(20_000);
  expect(rejected).toBeGreaterThan(5_000);
  expect(opened).toBeGreaterThan(2_000);
});
