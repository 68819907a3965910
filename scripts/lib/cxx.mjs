// The C++ files of the repository and the pinned clang-format that they are written with (WebAssembly, so no platform lacks it).
import { spawnSync } from 'node:child_process';
import { at, root } from './checkout.mjs';

export const clangFormat = at('node_modules/.bin/clang-format');

/** Files that git knows or would add; X-macro tables (.inc) keep their own layout. */
export function cxxFiles() {
  const patterns = ['*.cc', '*.h', '*.cu', '*.cuh'];
  const listed = spawnSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate', '--', ...patterns],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  if (listed.status !== 0) throw new Error(`git ls-files failed: ${listed.stderr ?? listed.error?.message}`);
  return listed.stdout.split('\0').filter(Boolean);
}
