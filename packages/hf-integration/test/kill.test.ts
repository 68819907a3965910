import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const script = join(import.meta.dirname, '..', 'scripts', 'kill-quantize.mjs');

test('killed at random moments, quantizing goes on to the same bytes', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=@ao/source', script, '3', '11']);
  expect(JSON.parse(stdout)).toMatchObject({ kills: 3, seed: 11 });
}, 120_000);
