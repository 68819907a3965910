// A few thousand cases of each fuzzer of checkpoints; fuzz/checkpoints.mjs runs millions.
import { expect, test } from 'vitest';
import { fuzzConfig, fuzzForeign } from '../src/foreign/foreign.fuzz.ts';
import { fuzzTorchFile, fuzzUnpickle, random } from '../src/pickle/pickle.fuzz.ts';

const seed = Date.now() % 2 ** 31;

test.each([
  ['unpickle', fuzzUnpickle, 20_000],
  ['torch-file', fuzzTorchFile, 5_000],
  ['config', fuzzConfig, 5_000],
  ['foreign', fuzzForeign, 3_000],
] as const)('%s: damaged input is refused or read, never more', async (_name, fuzz, cases) => {
  const { rejected, opened } = await fuzz(cases, seed);
  expect(rejected + opened).toBe(cases);
  // mutations that hit nothing would test nothing
  expect(rejected).toBeGreaterThan(cases / 10);
  expect(opened).toBeGreaterThan(cases / 10);
});

test('the same seed gives the same cases', () => {
  const [a, b] = [random(5), random(5)];
  expect(Array.from({ length: 5 }, () => a(1000))).toEqual(Array.from({ length: 5 }, () => b(1000)));
});
