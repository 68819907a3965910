// Files that are written by a program are what that program writes today.
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { root } from '../src/workspace.ts';

it('the typed calls of the cpu backend follow kernels/cpu/exports.inc', () => {
  const check = () =>
    execFileSync(process.execPath, ['packages/kernels-cpu/scripts/abi.mjs', '--check'], { cwd: root, stdio: 'pipe' });
  expect(check).not.toThrow();
});
