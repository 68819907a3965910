import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { finish, type Row } from '../row.ts';
import type { Results } from '../run.ts';
import { merge } from './merge.ts';
import { plot } from './plot.ts';
import { PLOT, README, readPublished, SCHEMES } from './report.ts';
import { schemePage } from './scheme-tables.ts';
import { replaceTable, table } from './table.ts';

const head: Omit<Results, 'rows'> = {
  date: '2026-01-02T03:04:05.000Z',
  commit: { id: 'abc', dirty: false },
  machine: { cpu: 'A CPU', logicalCpus: 2, features: ['avx2'], memoryGB: 8, system: 'linux 6' },
  versions: { node: 'v24.0.0' },
  threads: 2,
  repeats: 5,
  loadBefore: 0,
};
const decode: Row = finish('llm', {
  id: 'decode-int4',
  what: 'decode',
  unit: 'tok/s',
  form: 'int8-group',
  ours: 190,
  peer: { name: 'llama.cpp Q4_0', value: 100 },
  target: { kind: 'ratio', value: 2 },
  crossEntropy: { ours: 1.45 },
});
const gemv: Row = finish('kernels', {
  id: 'gemv',
  what: 'GEMV',
  unit: 'GB/s',
  ours: 22,
  limit: { name: 'reads', value: 25 },
  target: { kind: 'share', value: 0.85 },
});
const absent: Row = finish('ort', { id: 'ort', what: 'GEMM', unit: '', skipped: 'ort is not installed' });

test('the table names machine and commit, tells ratios and shares, and marks what is missed', () => {
  expect(table({ ...head, rows: [decode, gemv, absent] })).toBe(
    `A CPU, 2 logical CPUs (avx2), 8 GB, linux 6; 2 threads on both sides; medians of 5 interleaved rounds; commit abc, 2026-01-02. node v24.0.0.

| what   | activations | ours      | against            | ratio or share | target        | nats per token |
| ------ | ----------- | --------- | ------------------ | -------------- | ------------- | -------------- |
| decode | int8-group  | 190 tok/s | llama.cpp Q4_0 100 | 1.90x          | 2x **missed** | 1.4500         |
| GEMV   |             | 22.0 GB/s | reads 25.0         | 88%            | 85%           |                |`,
  );
});

test('what is outside the markers stays', () => {
  const text = 'before\n<!-- bench:start -->\nold\n<!-- bench:end -->\nafter';
  expect(replaceTable(text, 'new')).toBe('before\n<!-- bench:start -->\n\nnew\n\n<!-- bench:end -->\nafter');
  expect(() => replaceTable('no markers', 'new')).toThrow(/lacks the markers/);
});

test('rows of an earlier run stay only where code, machine and settings are the same', () => {
  const before: Results = { ...head, rows: [decode, gemv] };
  const now: Results = { ...head, date: '2026-01-03T00:00:00.000Z', rows: [{ ...gemv, ours: 23 }, absent] };
  expect(merge(before, now).rows.map(({ id, ours }) => [id, ours])).toEqual([
    ['decode-int4', 190],
    ['gemv', 23],
    ['ort', undefined],
  ]);
  const other: Results = { ...now, commit: { id: 'def', dirty: false } };
  expect(merge(before, other)).toBe(other);
});

test('the plot shows every ratio and share with its name', async () => {
  const svg = await plot({ ...head, rows: [decode, gemv, absent] });
  expect(svg).toMatch(/^<svg .*<\/svg>\n$/s);
  for (const text of ['A CPU', 'decode [int8-group] : llama.cpp Q4_0', '1.90', 'GEMV : reads', '0.88'])
    expect(svg).toContain(text);
  expect(svg).not.toContain('GEMM');
});

test('README and the plot are what the published results make', async () => {
  const results = await readPublished();
  const readme = await readFile(README, 'utf8');
  expect(replaceTable(readme, table(results))).toBe(readme);
  expect(await plot(results)).toBe(await readFile(PLOT, 'utf8'));
});

test('the page of schemes tells bits, perplexity and where time is lost, and is what the published results make', async () => {
  const row = (m: number, scheme: string, ratio: number): Row =>
    finish('scheme-speed', {
      id: `speed-${m}-${scheme}`,
      what: scheme,
      scheme,
      unit: 'µs',
      lowerIsBetter: true,
      ours: 100,
      peer: { name: 'bfloat16', value: 100 * ratio },
    });
  const perplexity = finish('scheme-quality', {
    id: 'perplexity-stories-7m-int4wo-32',
    what: 'stories-7m int4wo-32',
    scheme: 'int4wo-32',
    unit: 'perplexity',
    ours: 5.73,
    bitsPerWeight: 5.08,
  });
  const speed = [row(1, 'int4wo-32', 3), row(8, 'int4wo-32', 0.99), row(512, 'int4wo-32', 0.6)];
  const slow = [1, 8, 512].map((m) => row(m, 'intx3-asym-64', 0.5));
  const page = schemePage({ ...head, rows: [...speed, ...slow, perplexity] });
  expect(page).toMatch(/\| int4wo-32 +\| 5\.7300 +\| 5\.08 +\| +\| +\|/);
  expect(page).toMatch(/\| int4wo-32 +\| 3\.00x +\| 0\.99x +\| 0\.60x +\| saves memory, not time at 512 rows +\|/);
  expect(page).toMatch(/\| intx3-asym-64 +\| 0\.50x +\| 0\.50x +\| 0\.50x +\| saves memory, not time +\|/);
  expect(await readFile(SCHEMES, 'utf8')).toBe(schemePage(await readPublished('schemes')));
});
