// Packs every public package as `pnpm publish` would, once per run.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ownPlatformPackages, type PlatformPackage, placeAddon, unbuilt } from '../../../scripts/lib/platform.mjs';
import { publicPackages, root } from './workspace.ts';

/** Package name -> absolute path of its .tgz. */
export type Tarballs = ReadonlyMap<string, string>;

let packed: Tarballs | undefined;

function pack(name: string, folder: string): [string, string] {
  const into = emptyFolder(name);
  execFileSync('pnpm', ['pack', '--pack-destination', into], { cwd: folder, stdio: 'pipe' });
  const [file] = readdirSync(into);
  if (file === undefined) throw new Error(`pnpm pack of ${name} wrote nothing`);
  return [name, join(into, file)];
}

function emptyFolder(name: string): string {
  const folder = join(root, 'build/packed', name.replace(/[@/]/g, '_'));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** A platform package is packed from a copy: an addon left in the checkout could be taken for the current one. */
function packPlatform(platform: PlatformPackage): [string, string] {
  const copy = emptyFolder(`${platform.manifest.name}-files`);
  for (const file of ['package.json', 'README.md']) cpSync(join(platform.folder, file), join(copy, file));
  placeAddon(platform, copy);
  writeFileSync(join(copy, 'pnpm-workspace.yaml'), 'packages: []\npmOnFail: ignore\n');
  return pack(platform.manifest.name, copy);
}

function isBuilt(platform: PlatformPackage): boolean {
  const reason = unbuilt(platform);
  if (reason !== '') console.log(reason);
  return reason === '';
}

/** The packages must have been built; see the stage `packages` of `npm test`. */
export function packageTarballs(): Tarballs {
  packed ??= new Map([
    ...publicPackages().map(({ manifest, folder }) => pack(manifest.name, folder)),
    ...ownPlatformPackages().filter(isBuilt).map(packPlatform),
  ]);
  return packed;
}

/** A tarball's files in a folder that goes away with the scope; npm puts them below `package`. */
export function unpack(tarball: string): { folder: string; [Symbol.dispose](): void } {
  const folder = mkdtempSync(join(tmpdir(), 'ao-unpacked-'));
  execFileSync('tar', ['-xzf', tarball, '-C', folder]);
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
