// The oldest glibc on which a shared object opens: the greatest version among the symbols that it takes from there.
import { spawnSync } from 'node:child_process';

/** Where the addons are released from (.github/workflows/release.yml): that of Node itself. */
export const RELEASED_FLOOR = '2.28';
/** What a build on Debian 12, where CI runs, comes to: pthreads and dlopen took this version when they moved into libc. */
export const DEBIAN_12_FLOOR = '2.34';

/** @param {string} a @param {string} b */
export const byVersion = (a, b) => a.localeCompare(b, 'en', { numeric: true });

/** `2.17` of a .node file. @param {string} file @returns {string} */
export function glibcFloor(file) {
  const { status, stdout, stderr, error } = spawnSync('readelf', ['--version-info', '--wide', file], {
    encoding: 'utf8',
  });
  if (status !== 0)
    throw new Error(`readelf of ${file} failed (apt-get install binutils): ${error?.message ?? stderr}`);
  const floor = [...stdout.matchAll(/Name: GLIBC_([\d.]+)/g)]
    .map((match) => String(match[1]))
    .sort(byVersion)
    .at(-1);
  if (floor === undefined) throw new Error(`${file} takes nothing from glibc`);
  return floor;
}

/** Shared libraries that it asks for. @param {string} file @returns {string[]} */
export function needed(file) {
  const { stdout } = spawnSync('readelf', ['--dynamic', '--wide', file], { encoding: 'utf8' });
  return [...stdout.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map((match) => String(match[1]));
}
