// Packs every public package as `pnpm publish` would, once per run.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Package, platformPackages, publicPackages, root } from './workspace.ts';

/** Package name -> absolute path of its .tgz. */
export type Tarballs = ReadonlyMap<string, string>;

let packed: Tarballs | undefined;

function pack({ folder, manifest }: Package): [string, string] {
  const into = join(root, 'build/packed', manifest.name.replace(/[@/]/g, '_'));
  rmSync(into, { recursive: true, force: true });
  mkdirSync(into, { recursive: true });
  execFileSync('pnpm', ['pack', '--pack-destination', into], { cwd: folder, stdio: 'pipe' });
  const [file] = readdirSync(into);
  if (file === undefined) throw new Error(`pnpm pack of ${manifest.name} wrote nothing`);
  return [manifest.name, join(into, file)];
}

/** The packages must have been built; see the stage `packages` of `npm test`. */
export function packageTarballs(): Tarballs {
  packed ??= new Map([...publicPackages(), ...platformPackages()].map(pack));
  return packed;
}

/** A tarball's files in a folder that goes away with the scope; npm puts them below `package`. */
export function unpack(tarball: string): { folder: string; [Symbol.dispose](): void } {
  const folder = mkdtempSync(join(tmpdir(), 'ao-unpacked-'));
  execFileSync('tar', ['-xzf', tarball, '-C', folder]);
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
