// publint and are-the-types-wrong on what users would download.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { describe, expect, it } from 'vitest';
import { packageTarballs, unpack } from '../src/pack.ts';
import { publicPackages } from '../src/workspace.ts';

describe.each(publicPackages())('$manifest.name', ({ manifest }) => {
  const tarball = (): string => packageTarballs().get(manifest.name) ?? '';

  it('passes publint', async () => {
    using unpacked = unpack(tarball());
    const { messages, pkg } = await publint({ pkgDir: join(unpacked.folder, 'package'), strict: true, pack: false });
    expect(messages.map((message) => formatMessage(message, pkg as Record<string, unknown>, { color: false }))).toEqual(
      [],
    );
  });

  it('has types that are right for ESM and CJS', async () => {
    const result = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(tarball()))));
    if (!result.types) throw new Error(`${manifest.name} has no types`);
    // TypeScript's resolution from before `exports` existed is gone in TypeScript 7; it cannot see subpaths
    expect(
      result.problems.filter((problem) => !('resolutionKind' in problem && problem.resolutionKind === 'node10')),
    ).toEqual([]);
  });

  it('ships its README, its licence and nothing from src', () => {
    using unpacked = unpack(tarball());
    const files = readdirSync(join(unpacked.folder, 'package'));
    expect(files).toEqual(expect.arrayContaining(['README.md', 'LICENSE', 'package.json', 'dist']));
    expect(files).not.toContain('src');
    const manifestText = readFileSync(join(unpacked.folder, 'package/package.json'), 'utf8');
    expect(manifestText).not.toMatch(/workspace:|catalog:|"@ao\/source"/);
  });
});
