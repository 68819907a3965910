import { expect, test } from 'vitest';
import { finish } from './row.ts';
import type { Measurement, Target } from './suite.ts';

const base: Measurement = { id: 'x', what: 'x', unit: 'tok/s' };
const met = (m: Partial<Measurement>, target: Target): boolean | undefined =>
  finish('s', { ...base, ...m, target }).met;

test('a ratio is ours over the peer, turned round where lower is better', () => {
  const measured = { ...base, ours: 30, peer: { name: 'p', value: 20 } };
  expect(finish('s', measured).ratio).toBe(1.5);
  expect(finish('s', { ...measured, lowerIsBetter: true }).ratio).toBeCloseTo(2 / 3, 12);
});

test('a share is ours over the limit', () => {
  expect(finish('s', { ...base, ours: 18, limit: { name: 'reads', value: 24 } }).share).toBe(0.75);
});

test('each kind of target is met at its value and missed just beyond', () => {
  const peer = { name: 'p', value: 10 };
  expect(met({ ours: 15, peer }, { kind: 'ratio', value: 1.5 })).toBe(true);
  expect(met({ ours: 14.9, peer }, { kind: 'ratio', value: 1.5 })).toBe(false);
  const limit = { name: 'l', value: 10 };
  expect(met({ ours: 8.5, limit }, { kind: 'share', value: 0.85 })).toBe(true);
  expect(met({ ours: 8.4, limit }, { kind: 'share', value: 0.85 })).toBe(false);
  expect(met({ ours: 30 }, { kind: 'at most', value: 30 })).toBe(true);
  expect(met({ ours: 30.1 }, { kind: 'at most', value: 30 })).toBe(false);
  expect(met({ ours: 1.5 }, { kind: 'at least', value: 1.5 })).toBe(true);
  expect(met({ ours: 1.4 }, { kind: 'at least', value: 1.5 })).toBe(false);
});

test('without a peer there is no ratio and no verdict', () => {
  const row = finish('s', { ...base, ours: 15, target: { kind: 'ratio', value: 1 }, skipped: 'not installed' });
  expect(row).not.toHaveProperty('ratio');
  expect(row).not.toHaveProperty('met');
});

test('other work on more than half a CPU marks the row', () => {
  expect(finish('s', base, 0.6).disturbed).toBe(true);
  expect(finish('s', base, 0.4).disturbed).toBe(false);
  expect(finish('s', base)).not.toHaveProperty('disturbed');
});
