import { expect, test } from 'vitest';
import { median } from './statistics.ts';

test('the median is the middle of an odd count, between the middle two of an even one, and ignores order and outliers', () => {
  expect(median([3, 1, 1000])).toBe(3);
  expect(median([4, 1, 2, 1000])).toBe(3);
  expect(median([7])).toBe(7);
});
