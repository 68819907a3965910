// Reads how many tests passed and failed from what the runners write.
import { existsSync, readFileSync } from 'node:fs';

/** `reasons`: why something was skipped, a line each. @typedef {{ passed: number, failed: number, skipped: number, reasons?: string[] }} Counts */

/** One check without tests of its own counts as one. @param {number} code @returns {Counts} */
export const one = (code) => ({ passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 });

/** @param {readonly Counts[]} all @returns {Counts} */
export const sum = (all) => ({
  passed: all.reduce((n, c) => n + c.passed, 0),
  failed: all.reduce((n, c) => n + c.failed, 0),
  skipped: all.reduce((n, c) => n + c.skipped, 0),
  reasons: all.flatMap((c) => c.reasons ?? []),
});

/** A runner that ends badly has failed, whatever it counted. @param {Counts} counts @param {number} code @returns {Counts} */
const orFailed = (counts, code) => (code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts);

/** The last line 'N passed, N failed' of an executable's output. @param {string} output @returns {Counts | null} */
export function plainLine(output) {
  const lines = [...output.matchAll(/^(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$/gm)];
  const last = lines.at(-1);
  return last ? { passed: Number(last[1]), failed: Number(last[2]), skipped: Number(last[3] ?? 0) } : null;
}

/** @param {string} output @param {number} code @returns {Counts} */
export const fromOutput = (output, code) => orFailed(plainLine(output) ?? one(code), code);

/** vitest's JSON report; a file that failed before its first test counts as one failure.
 * @param {string} file @param {number} code @returns {Counts} */
export function fromVitest(file, code) {
  if (!existsSync(file)) return { passed: 0, failed: 1, skipped: 0 };
  const report = JSON.parse(readFileSync(file, 'utf8'));
  /** @type {{ status: string, assertionResults: { status: string, fullName: string, meta?: { reason?: string } }[] }[]} */
  const files = report.testResults;
  const broken = files.filter((f) => f.status === 'failed' && f.assertionResults.length === 0).length;
  const skipped = files
    .flatMap((f) => f.assertionResults)
    .filter(({ status }) => status !== 'passed' && status !== 'failed');
  const counts = {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken,
    skipped: skipped.length,
    reasons: skipped.map(({ fullName, meta }) => `${fullName}${meta?.reason ? `: ${meta.reason}` : ''}`),
  };
  return orFailed(counts, code);
}

/** ctest's JUnit report. A test executable that prints 'N passed, N failed' counts with these numbers, any other as one.
 * @param {string} file @param {number} code @returns {Counts} */
export function fromCtest(file, code) {
  if (!existsSync(file)) return { passed: 0, failed: 1, skipped: 0 };
  const cases = readFileSync(file, 'utf8').match(/<testcase\b[\s\S]*?<\/testcase>/g) ?? [];
  const counts = cases.map((xml) => {
    const status = /\bstatus="(\w+)"/.exec(xml)?.[1];
    const output = /<system-out>([\s\S]*?)<\/system-out>/.exec(xml)?.[1] ?? '';
    if (status !== 'notrun' && status !== 'disabled') return fromOutput(output, status === 'run' ? 0 : 1);
    const reason = /^skipped: (.*)$/m.exec(output)?.[1];
    return {
      passed: 0,
      failed: 0,
      skipped: 1,
      reasons: [`${/\bname="([^"]*)"/.exec(xml)?.[1]}: ${reason ?? 'it gives no reason'}`],
    };
  });
  return orFailed(sum(counts), code);
}
