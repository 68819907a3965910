// A copy of what a release reads, in a temporary folder: manifests, changesets, their configuration. Versions change there, never here.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { repositoryFiles, root } from '../workspace.ts';

export interface ReleaseCopy {
  readonly folder: string;
  /** Absolute path of a file in the copy. */
  at(file: string): string;
  write(file: string, text: string): void;
  /** Runs `changeset ARGS` and returns what it printed. */
  changeset(...args: string[]): string;
  /** Versions by package name, private packages left out. */
  versions(): Record<string, string>;
  [Symbol.dispose](): void;
}

/** `patterns`: files beside the manifests, as git names them. `env`: of every command. */
export function releaseCopy(patterns: readonly string[] = [], env: NodeJS.ProcessEnv = process.env): ReleaseCopy {
  const folder = mkdtempSync(join(tmpdir(), 'ao-release-'));
  const at = (file: string): string => join(folder, file);
  const write = (file: string, text: string): void => {
    mkdirSync(dirname(at(file)), { recursive: true });
    writeFileSync(at(file), text);
  };
  const manifests = [
    'package.json',
    'pnpm-workspace.yaml',
    'pnpm-lock.yaml',
    '*/package.json',
    '.changeset/config.json',
  ];
  for (const file of repositoryFiles(...manifests, ...patterns)) {
    mkdirSync(dirname(at(file)), { recursive: true });
    cpSync(join(root, file), at(file));
  }
  symlinkSync(join(root, 'node_modules'), at('node_modules'));
  write('.gitignore', 'node_modules\ndist\n.npmrc\n*.node\n');
  const identity = ['-c', 'user.name=release', '-c', 'user.email=release@localhost'];
  for (const args of [
    ['init', '-q', '-b', 'main'],
    ['add', '-A'],
    [...identity, 'commit', '-qm', 'copy'],
  ])
    execFileSync('git', args, { cwd: folder, env });
  return {
    folder,
    at,
    write,
    changeset: (...args) =>
      execFileSync(process.execPath, [join(root, 'node_modules/@changesets/cli/bin.js'), ...args], {
        cwd: folder,
        env,
        encoding: 'utf8',
        stdio: 'pipe',
      }),
    versions() {
      const files = readdirSync(at('packages'))
        .map((name) => at(`packages/${name}/package.json`))
        .filter((file) => existsSync(file));
      const all = files.map(
        (file) => JSON.parse(readFileSync(file, 'utf8')) as { name: string; version: string; private?: boolean },
      );
      return Object.fromEntries(all.filter((m) => m.private !== true).map((m) => [m.name, m.version]));
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
