// A user's empty folder: packages come from a registry by npm, pnpm or yarn with no install script run, then a program starts in it.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { snippets } from '../snippets.ts';
import { root } from '../workspace.ts';
import type { Registry } from './registry.ts';

export const managers = ['npm', 'pnpm', 'yarn', 'yarn pnp'] as const;
export type Manager = (typeof managers)[number];

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Folder {
  /** Versions of the @ao packages in node_modules; empty where a manager makes none. */
  readonly versions: Readonly<Record<string, string>>;
  /** Runs the text of an ES module, or of CommonJS, by this Node unless another program is given. */
  run(program: string, by?: string, type?: 'mjs' | 'cjs'): Outcome;
  [Symbol.dispose](): void;
}

interface Way {
  readonly command: readonly string[];
  readonly files: Readonly<Record<string, string>>;
  /** What stands before the program's file. */
  readonly start?: readonly string[];
}

const yarn = (): readonly string[] => [
  process.execPath,
  createRequire(import.meta.url).resolve('@yarnpkg/cli-dist/bin/yarn.js'),
];

function yarnFiles({ url }: Registry, linker: string, folder: string): Record<string, string> {
  const settings = {
    npmRegistryServer: url.slice(0, -1),
    unsafeHttpWhitelist: ['127.0.0.1'],
    nodeLinker: linker,
    enableScripts: false,
    enableTelemetry: false,
    enableGlobalCache: false,
    globalFolder: join(folder, 'yarn'),
    enableImmutableInstalls: false,
    npmMinimalAgeGate: 0, // what was published a minute ago is what the rehearsal is about
  };
  return { '.yarnrc.yml': JSON.stringify(settings), 'yarn.lock': '' };
}

function way(manager: Manager, registry: Registry, folder: string, omitOptional: boolean): Way {
  const omit = omitOptional ? ['--omit=optional'] : [];
  const files = { '.npmrc': registry.npmrc };
  if (manager === 'npm')
    return {
      files,
      command: [
        'npm',
        'install',
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
        '--cache',
        join(folder, 'cache'),
        ...omit,
      ],
    };
  if (omitOptional) throw new Error(`optional packages are left out by npm, not ${manager}`);
  if (manager === 'pnpm') {
    const settings = {
      packages: [],
      storeDir: join(folder, 'store'),
      cacheDir: join(folder, 'cache'),
      minimumReleaseAge: 0,
    };
    return {
      files: {
        ...files,
        'pnpm-workspace.yaml': JSON.stringify({ ...settings, pmOnFail: 'ignore', ignoreScripts: true }),
      },
      command: ['pnpm', 'add', '--ignore-scripts'],
    };
  }
  const linker = manager === 'yarn' ? 'node-modules' : 'pnp';
  const start = manager === 'yarn' ? {} : { start: [...yarn(), 'node'] };
  return { files: yarnFiles(registry, linker, folder), command: [...yarn(), 'add'], ...start };
}

/** Installs `packages`, each a name with an optional `@tag`. The bundled model lies where README's programs look for it. */
export function install(
  manager: Manager,
  registry: Registry,
  packages: readonly string[],
  { omitOptional = false }: { readonly omitOptional?: boolean } = {},
): Folder {
  const folder = mkdtempSync(join(tmpdir(), 'ao-user-'));
  // no setting, cache or credential of this machine or of an outer npm is in reach
  const inherited = Object.entries(process.env).filter(([name]) => !/^(npm|pnpm|yarn)_|^CI$/i.test(name));
  const env = { ...Object.fromEntries(inherited), HOME: folder, XDG_CONFIG_HOME: folder, NO_COLOR: '1', CI: '1' };
  const run = (command: string, args: readonly string[]): Outcome =>
    spawnSync(command, args, { cwd: join(folder, 'app'), env, encoding: 'utf8', timeout: 300_000 });
  const { command, files, start = [] } = way(manager, registry, folder, omitOptional);
  mkdirSync(join(folder, 'app/apps'), { recursive: true });
  symlinkSync(join(root, 'apps/stories-7m'), join(folder, 'app/apps/stories-7m'));
  const manifest = JSON.stringify({ name: 'user', private: true });
  for (const [file, text] of Object.entries({ 'package.json': manifest, ...files }))
    writeFileSync(join(folder, 'app', file), text);
  const installed = run(command[0]!, [...command.slice(1), ...packages]);
  const dispose = (): void => rmSync(folder, { recursive: true, force: true });
  if (installed.status !== 0) {
    dispose();
    throw new Error(
      `${command.join(' ')} ${packages.join(' ')} ended with ${installed.status}\n${installed.stdout}${installed.stderr}`,
    );
  }
  return {
    versions: versionsBelow(join(folder, 'app/node_modules/@ao')),
    run(program, by = process.execPath, type = 'mjs') {
      const file = `program.${type}`;
      writeFileSync(join(folder, 'app', file), program);
      const [first, ...rest] = [...(start.length > 0 ? start : [by]), file];
      return run(first!, rest);
    },
    [Symbol.dispose]: dispose,
  };
}

function versionsBelow(scope: string): Record<string, string> {
  if (!existsSync(scope)) return {};
  const manifests = readdirSync(scope).map((name) => readFileSync(join(scope, name, 'package.json'), 'utf8'));
  return Object.fromEntries(
    manifests.map((text) => JSON.parse(text) as { name: string; version: string }).map((m) => [m.name, m.version]),
  );
}

/** README's own lines: what it installs, and its two programs. */
export function quickStart(): { readonly packages: readonly string[]; readonly model: string; readonly layer: string } {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const packages = /^npm install (@ao\/.*)$/m.exec(readme)?.[1]?.split(' ');
  const [model, layer] = snippets(readme.slice(readme.indexOf('## Quick start')));
  if (!packages || !model || !layer)
    throw new Error('README has no line `npm install @ao/...` or no quick start of two programs');
  return { packages, model: model.code, layer: layer.code };
}
