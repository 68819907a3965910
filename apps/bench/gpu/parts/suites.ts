// The packages' suites of tests on the GPU, a process each, side by side: goldens of torchao, gradients, files. AO_SUITES is the folder that
// bundle.mjs made.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Part, Say } from '../part.ts';
import type { Result } from '../suites/vitest.ts';

const SUITES = ['quantization', 'qat', 'float8', 'sparsity', 'optim'];
const LIMIT_MS = 120_000;

function run(folder: string, name: string, say: Say): Promise<void> {
  return new Promise((resolve) => {
    const options = {
      env: { ...process.env, AO_TEST_DEVICE: 'cuda' },
      maxBuffer: 1 << 28,
      timeout: LIMIT_MS,
    };
    execFile(process.execPath, [join(folder, 'suites.mjs'), name], options, (error, stdout, stderr) => {
      const results = stdout
        .split('\n')
        .filter((line) => line.startsWith('{"name"'))
        .map((line) => JSON.parse(line) as Result);
      const count = (state: Result['state']): number => results.filter((r) => r.state === state).length;
      const notes = results.filter((r) => r.state === 'failed').map((r) => `${r.name}: ${r.message}`);
      if (error !== null) notes.push(`the process ended by ${error.signal ?? error.code}: ${stderr.slice(-2000)}`);
      const row = `tests of ${name}`;
      say({ name: row, unit: 'passed', value: count('passed') });
      say({ name: row, unit: 'skipped', value: count('skipped') });
      say({
        name: row,
        unit: 'failed',
        value: notes.length,
        ...(notes.length === 0 ? {} : { note: notes.join('\n') }),
      });
      resolve();
    });
  });
}

export const suites: Part = {
  name: 'suites',
  async run(_, say) {
    const folder = process.env['AO_SUITES'];
    if (folder === undefined || !existsSync(join(folder, 'suites.mjs'))) {
      say({ name: 'tests of packages', unit: 'skipped', value: 1, note: 'AO_SUITES names no folder of suites.mjs' });
      return;
    }
    await Promise.all(SUITES.map((name) => run(folder, name, say)));
  },
};
