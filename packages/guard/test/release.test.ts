// The three release channels, dry-run on a copy of the manifests: latest (plain versions), next (pre-releases), snapshot.
// Packages keep versions of their own; the family of the cpu kernels moves together.
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ReleaseCopy, releaseCopy } from '../src/rehearsal/release-copy.ts';
import { publicPackages } from '../src/workspace.ts';

const platforms = ['linux-x64', 'linux-arm64'];
let copy: ReleaseCopy;
const write = (file: string, text: string): void => copy.write(file, text);
const changeset = (...args: string[]): string => copy.changeset(...args);
const versions = (): Record<string, string> => copy.versions();

/** `1.2.3` with its minor part one higher. */
const minor = (version: string | undefined): string => {
  const [major, middle] = String(version).split('.').map(Number);
  return `${major}.${Number(middle) + 1}.0`;
};

/** `1.2.3` with its last part one higher. */
const patch = (version: string | undefined): string => String(version).replace(/\d+$/, (n) => `${Number(n) + 1}`);

beforeEach(() => {
  copy = releaseCopy();
});
afterEach(() => copy[Symbol.dispose]());

describe('changesets', () => {
  it('latest: only what changed gets a new version, the kernels family together', () => {
    const before = versions();
    write('.changeset/faster.md', "---\n'@ao/kernels-cpu': minor\n---\n\nA faster kernel.\n");
    changeset('version');
    const next = minor(before['@ao/kernels-cpu']);
    const dependents = publicPackages().filter(
      ({ manifest }) => '@ao/kernels-cpu' in (manifest.peerDependencies ?? {}),
    );
    const patched = dependents.map(({ manifest }) => [manifest.name, patch(before[manifest.name])]);
    // the cuda kernels take the cpu's as a peer, and their platform package moves with them
    patched.push(['@ao/kernels-cuda-linux-x64', patch(before['@ao/kernels-cuda-linux-x64'])]);
    const family = Object.fromEntries(['', ...platforms.map((p) => `-${p}`)].map((p) => [`@ao/kernels-cpu${p}`, next]));
    expect(versions()).toEqual({ ...before, ...Object.fromEntries(patched), ...family });
    expect(readFileSync(copy.at('packages/kernels-cpu/CHANGELOG.md'), 'utf8')).toContain('A faster kernel.');
  }, 60_000);

  it('latest: a new core brings its dependents a patch, never a new major version', () => {
    const before = versions();
    write('.changeset/core.md', "---\n'@ao/core': minor\n---\n\nAn op.\n");
    changeset('version');
    const patched = Object.entries(before).map(([name, version]) => [name, patch(version)]);
    expect(versions()).toEqual({ ...Object.fromEntries(patched), '@ao/core': minor(before['@ao/core']) });
  }, 60_000);

  it('next: pre-releases count up, and leaving the channel gives the plain version', () => {
    const before = versions();
    const next = minor(before['@ao/quantization']);
    changeset('pre', 'enter', 'next');
    for (const n of [0, 1]) {
      write(`.changeset/change-${n}.md`, "---\n'@ao/quantization': minor\n---\n\nA scheme.\n");
      changeset('version');
      expect(versions()['@ao/quantization']).toBe(`${next}-next.${n}`);
    }
    expect(versions()['@ao/core']).toBe(before['@ao/core']);
    changeset('pre', 'exit');
    changeset('version');
    expect(versions()['@ao/quantization']).toBe(next);
  }, 60_000);

  it('snapshot: a version by date that no range of a plain version takes', () => {
    const before = versions();
    write('.changeset/try.md', "---\n'@ao/core': minor\n---\n\nTry this.\n");
    changeset('version', '--snapshot', 'snapshot');
    expect(versions()['@ao/core']).toMatch(
      new RegExp(`^${minor(before['@ao/core']).replaceAll('.', '\\.')}-snapshot-\\d{14}$`),
    );
  }, 60_000);

  it('every public package can be versioned, none is forgotten', () => {
    const front = publicPackages().map(({ manifest }) => `'${manifest.name}': minor`);
    const before = versions();
    write('.changeset/all.md', `---\n${front.join('\n')}\n---\n\nAll.\n`);
    changeset('version');
    const after = versions();
    expect(Object.keys(after)).toEqual(Object.keys(before));
    for (const name of Object.keys(after)) expect(after[name], name).toBe(minor(before[name]));
  }, 60_000);
});
