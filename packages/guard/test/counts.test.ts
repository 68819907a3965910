// The closing line of `npm test` is only as good as the reading of each runner's output.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fromCtest, fromOutput, fromVitest, plainLine } from '../../../scripts/lib/counts.mjs';

const folder = mkdtempSync(join(tmpdir(), 'ao-counts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (text: string): string => {
  const path = join(folder, `${Math.random()}`);
  writeFileSync(path, text);
  return path;
};

describe('counts', () => {
  it('takes the last plain line, else one per executable', () => {
    expect(plainLine('1 passed, 1 failed\nmore\nquantize: 12 passed, 3 failed, 4 skipped\n')).toEqual({
      passed: 12,
      failed: 3,
      skipped: 4,
    });
    expect(plainLine('about 3 passed, 0 failed so far')).toBe(null);
    expect(fromOutput('', 0)).toEqual({ passed: 1, failed: 0, skipped: 0 });
    expect(fromOutput('7 passed, 0 failed', 139)).toEqual({ passed: 7, failed: 1, skipped: 0 });
  });

  it('reads ctest: own counts, plain executables, skips, crashes', () => {
    const xml = `<testsuite><testcase name="a" status="run"><system-out>10 passed, 0 failed\n</system-out></testcase>
      <testcase name="b" status="run"><system-out>fine</system-out></testcase>
      <testcase name="c" status="notrun"><skipped message=""/><system-out>skipped: no avx512\n0 passed, 0 failed\n</system-out></testcase>
      <testcase name="d" status="fail"><failure message=""/><system-out>4 passed, 2 failed\n</system-out></testcase>
      <testcase name="e" status="fail"><failure message=""/><system-out>Segmentation fault</system-out></testcase></testsuite>`;
    expect(fromCtest(file(xml), 8)).toEqual({ passed: 15, failed: 3, skipped: 1, reasons: ['c: no avx512'] });
    expect(fromCtest(join(folder, 'absent'), 1)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });

  it('reads vitest: a file that broke before its first test has failed', () => {
    const report = (
      files: { status: string; assertionResults: { status: string; fullName: string }[] }[],
      failed = 0,
    ): string => file(JSON.stringify({ numPassedTests: 5, numFailedTests: failed, testResults: files }));
    const test = (status: string) => ({ status, fullName: `a ${status} test` });
    const good = { status: 'passed', assertionResults: [test('passed'), test('skipped')] };
    const counts = { passed: 5, failed: 0, skipped: 1, reasons: ['a skipped test'] };
    expect(fromVitest(report([good]), 0)).toEqual(counts);
    expect(fromVitest(report([good, { status: 'failed', assertionResults: [] }]), 1)).toEqual({ ...counts, failed: 1 });
    expect(fromVitest(report([good, { status: 'failed', assertionResults: [test('failed')] }], 2), 1)).toEqual({
      ...counts,
      failed: 2,
    });
    expect(fromVitest(report([good]), 1)).toEqual({ ...counts, failed: 1 });
  });
});
