import { expect, test } from 'vitest';
import { run } from './run.ts';
import type { Measurement, Suite, SuiteOptions } from './suite.ts';

const options: SuiteOptions = { threads: 1, repeats: 1, wants: () => true, absent: () => undefined, log: () => {} };
const measured = (id: string): Measurement => ({ id, what: id, unit: 's', ours: 1 });

function suite(name: string, rows: readonly string[], make: () => AsyncIterable<Measurement>): Suite {
  return { name, rows, run: make };
}

test('a suite that fails is told in the rows it still owed, and the next one runs', async () => {
  const broken = suite('broken', ['a', 'b'], async function* () {
    yield measured('a');
    throw new Error('no such engine');
  });
  const whole = suite('whole', ['c'], async function* () {
    yield measured('c');
  });
  const { rows } = await run([broken, whole], options);
  expect(rows.map(({ suite, id, ours, skipped }) => [suite, id, ours, skipped])).toEqual([
    ['broken', 'a', 1, undefined],
    ['broken', 'b', undefined, 'no such engine'],
    ['whole', 'c', 1, undefined],
  ]);
});

test('a suite none of whose rows is wanted does not run', async () => {
  const unwanted = suite('unwanted', ['a'], () => {
    throw new Error('it ran');
  });
  const { rows } = await run([unwanted], { ...options, wants: () => false });
  expect(rows).toEqual([]);
});

test('a row that was not announced, or is missing at the end, is an error of its suite', async () => {
  const other = suite('other', ['a'], async function* () {
    yield measured('b');
  });
  const silent = suite('silent', ['c'], async function* () {});
  const { rows } = await run([other, silent], options);
  expect(rows.map(({ id, skipped }) => [id, skipped])).toEqual([
    ['a', 'suite other does not announce b once'],
    ['c', 'the suite gave no such row'],
  ]);
});
