// Addons built elsewhere come into the platform packages that they are for; one that is missing stops the release.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { placeAddon, platformPackages } from '../../../scripts/lib/platform.mjs';

const folder = mkdtempSync(join(tmpdir(), 'ao-prebuilt-'));
afterAll(() => rmSync(folder, { recursive: true }));

it.each(platformPackages())('$manifest.name takes its own addon of a folder of prebuilt ones', (platform) => {
  const { name, os, cpu, main } = platform.manifest;
  const into = join(folder, 'into', name);
  mkdirSync(into, { recursive: true });
  expect(() => placeAddon(platform, into, folder)).toThrow(`${name} needs ${folder}/addon-${os}-${cpu}/${main}`);
  mkdirSync(join(folder, `addon-${os}-${cpu}`), { recursive: true });
  writeFileSync(join(folder, `addon-${os}-${cpu}`, main), `for ${name}`);
  placeAddon(platform, into, folder);
  expect(readFileSync(join(into, main), 'utf8')).toBe(`for ${name}`);
});
