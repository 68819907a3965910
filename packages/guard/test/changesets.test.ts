// The configuration of releases, and the changesets that wait for the next one.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { platformPackages } from '../../../scripts/lib/platform.mjs';
import { publicPackages, root } from '../src/workspace.ts';

const text = (file: string): string => readFileSync(join(root, '.changeset', file), 'utf8');
const config = JSON.parse(text('config.json')) as {
  readonly [key: string]: unknown;
  readonly fixed: readonly string[][];
};
const names = [...publicPackages(), ...platformPackages()].map(({ manifest }) => manifest.name);

describe('changesets', () => {
  it('are public, committed by nobody, from main, with private packages left alone', () => {
    expect(config).toMatchObject({
      access: 'public',
      commit: false,
      baseBranch: 'main',
      ignore: [],
      linked: [],
      privatePackages: { version: false, tag: false },
    });
  });

  it('fix each family of kernels together, and nothing else', () => {
    const families = names.filter((name) => /^@ao\/kernels-[a-z]+$/.test(name));
    expect(config.fixed).toEqual(families.map((name) => [name, `${name}-*`]));
    for (const { manifest } of platformPackages())
      expect(families.filter((family) => manifest.name.startsWith(`${family}-`))).toHaveLength(1);
  });

  it('give a snapshot a version by date, above the plain one that it may become', () => {
    expect(config['snapshot']).toEqual({ useCalculatedVersion: true, prereleaseTemplate: '{tag}-{datetime}' });
  });

  it.each(readdirSync(join(root, '.changeset')).filter((file) => file.endsWith('.md')))(
    '%s names packages that there are, a step and one sentence',
    (file) => {
      const [, front = '', body = ''] = /^---\n([\s\S]*?)---\n([\s\S]*)$/.exec(text(file)) ?? [];
      const steps = front
        .trim()
        .split('\n')
        .map((line) => /^['"](@ao\/[\w-]+)['"]: (patch|minor|major)$/.exec(line)?.[1]);
      expect(steps.length).toBeGreaterThan(0);
      for (const name of steps) expect(names).toContain(name);
      expect(body.trim().length).toBeGreaterThan(10);
    },
  );
});
