import { expect, test } from 'vitest';
import { bytes, table } from '../src/output.ts';

test('bytes in the unit that people read', () => {
  expect([999, 1000, 14_696_792, 2.5e9].map(bytes)).toEqual(['999 B', '1.00 KB', '14.7 MB', '2.50 GB']);
});

test('a table aligns numbers to the right', () => {
  expect(
    table(
      ['name', 'size'],
      [
        ['a', '9 B'],
        ['long name', '10 B'],
      ],
    ),
  ).toBe(['name       size', '---------  ----', 'a           9 B', 'long name  10 B'].join('\n'));
});
