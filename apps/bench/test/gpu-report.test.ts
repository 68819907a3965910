// The page of a run on a GPU: what is met, what is missed, what was not measured; and the committed page is that of the newest run kept.
import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { fileName, newest, PAGE, page, RESULTS, type Results } from '../gpu/report.ts';
import type { ResultRow } from '../gpu/targets.ts';

const row = (by: string, name: string, unit: ResultRow['unit'], value: number, bytes?: number): ResultRow => ({
  part: 'p',
  by,
  name,
  unit,
  value,
  ...(bytes === undefined ? {} : { bytes }),
});
const results = (rows: readonly ResultRow[]): Results => ({
  date: '2026-01-02T03:04:05Z',
  driver: '13.0',
  runtime: '13.0',
  devices: [{ name: 'NVIDIA H200', capability: '9.0', memory: 141e9 }],
  rows,
});
const line = (text: string, work: string): string => text.split('\n').find((l) => l.startsWith(`| ${work}`))!;

it('says what is met, missed and not measured, by the worst of several rows', () => {
  const gemv = (n: number, us: number): ResultRow[] => [
    row('ao', `linear int4 [1, 4096] x [${n}, 4096]`, 'us', us, 60e6),
    row('torch 2', `linear int4 [1, 4096] x [${n}, 4096]`, 'us', 40),
  ];
  const text = page(
    results([
      ...gemv(28672, 18),
      ...gemv(6144, 20),
      row('torch 2', 'read', 'GB/s', 4190),
      row('ao', 'training rowwise', 'tok/s', 110),
      row('torch 2', 'training rowwise', 'tok/s', 100),
      row('torch 2', 'training bfloat16', 'tok/s', 99),
      row('ao', 'Llama 8B int4, int8 cache of 131072 tokens: peak', 'GB', 17.5),
      row('ao', 'conformance of ops', 'passed', 1479),
    ]),
  );
  expect(line(text, 'GEMV of int4 weights, Llama')).toMatch(
    /0\.75 .* 0\.72 to 0\.80 .* MISSED \(linear int4 \[1, 4096\] x \[6144, 4096\]\)/,
  );
  expect(line(text, 'GEMV of int4 weights against')).toMatch(/2\.2x .* 2\.00x to 2\.22x .* MISSED/);
  expect(line(text, 'float8 training of four layers, rowwise, against torchao')).toMatch(/1x .* 1\.10x .* met/);
  expect(line(text, 'float8 training of four layers, rowwise, against torch in')).toMatch(/1\.12x .* 1\.11x .* MISSED/);
  expect(line(text, 'int8 cache of 128k tokens')).toMatch(/at most 18\.9 GB .* 17\.50 GB .* met/);
  expect(line(text, 'GEMV of float8')).toMatch(/- .* not measured/);
  expect(text).toMatch(/\| conformance of ops \| 1479 /);
  expect(text).toMatch(/linear int4 \[1, 4096\] x \[28672, 4096\] +\| 18\.00 us +\| 40\.00 us \(torch 2\) +\| 2\.22x/);
  expect(fileName(results([]))).toBe('nvidia-h200-2026-01-02.json');
});

it('the committed page is that of the newest run kept', () => {
  const kept = existsSync(RESULTS) ? newest() : undefined;
  expect(existsSync(PAGE)).toBe(kept !== undefined);
  if (kept !== undefined) expect(readFileSync(PAGE, 'utf8')).toBe(page(kept));
});
