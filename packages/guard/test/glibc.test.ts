// Which systems the addon built here opens on: it takes nothing newer from glibc than Debian 12's linker gives, and no C++ library at all.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { byVersion, DEBIAN_12_FLOOR, glibcFloor, needed, RELEASED_FLOOR } from '../../../scripts/lib/glibc.mjs';
import { root } from '../src/workspace.ts';

const addon = join(root, 'packages/kernels-cpu/build/Release/ao_cpu.node');

const absent = process.platform !== 'linux' || !existsSync(addon);
if (absent) console.warn(`skipped: ${addon} is not there, or this is not Linux`);

describe.skipIf(absent)('the addon of this machine', () => {
  it(`needs glibc ${DEBIAN_12_FLOOR} at most`, () => {
    const floor = glibcFloor(addon);
    expect(byVersion(floor, DEBIAN_12_FLOOR), `glibc ${floor}`).toBeLessThanOrEqual(0);
  });

  it('carries libstdc++ in it and asks for libraries only that Node asks for itself', () => {
    const node = ['libc.so.6', 'libm.so.6', 'libgcc_s.so.1', 'libpthread.so.0', 'libdl.so.2'];
    const others = needed(addon).filter((library) => !node.includes(library) && !library.startsWith('ld-linux'));
    expect(others).toEqual([]);
    expect(needed(addon)).toContain('libc.so.6');
  });
});

describe('versions of glibc', () => {
  it('are compared part by part', () => {
    expect(['2.9', '2.34', '2.2.5', '2.28'].sort(byVersion)).toEqual(['2.2.5', '2.9', '2.28', '2.34']);
    expect(byVersion(RELEASED_FLOOR, DEBIAN_12_FLOOR)).toBeLessThan(0);
  });

  it('are not read from a file that is no shared object', () => {
    expect(() => glibcFloor(join(root, 'package.json'))).toThrow(/readelf of .*package\.json failed|takes nothing/);
  });
});
