// The workspace as its manifests describe it: root folder, packages, and the files that git would carry.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

export type Exports = { readonly [key: string]: string | Exports };

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly [field: string]: unknown;
  readonly exports?: Exports;
  readonly publishConfig?: { readonly exports?: Exports; readonly [field: string]: unknown };
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export interface Package {
  /** Absolute folder, and its last part. */
  readonly folder: string;
  readonly short: string;
  readonly manifest: Manifest;
}

const foldersOf = (parent: string): string[] =>
  existsSync(join(root, parent)) ? readdirSync(join(root, parent)).map((name) => join(root, parent, name)) : [];

const read = (folder: string): Package => ({
  folder,
  short: folder.slice(folder.lastIndexOf('/') + 1),
  manifest: JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest,
});

/** Packages below `parent` that hold TypeScript; platform packages and models have no sources. */
export const packagesIn = (parent: string): Package[] =>
  foldersOf(parent)
    .filter((folder) => existsSync(join(folder, 'package.json')) && existsSync(join(folder, 'src')))
    .map(read);

/** Peers without which a package does not work; the optional ones it does without, and says so. */
export const requiredPeers = ({ peerDependencies, peerDependenciesMeta }: Manifest): string[] =>
  Object.keys(peerDependencies ?? {}).filter((name) => peerDependenciesMeta?.[name]?.optional !== true);

export const publicPackages = (): Package[] =>
  packagesIn('packages').filter(({ manifest }) => manifest.private !== true);

/** Tracked and new files, relative to the root; what is ignored or deleted is not there. */
export function repositoryFiles(...patterns: string[]): string[] {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate', '--', ...patterns];
  const listed = execFileSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
  return listed.split('\0').filter((file) => file && existsSync(join(root, file)));
}
