// The programs that packages are run by: Node 20, 22 and 24 and Bun, as npm has them, kept in .tools.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { root } from '../workspace.ts';

export interface Host {
  readonly name: string;
  /** Absolute path, or why there is none. */
  readonly program: string | { readonly absent: string };
}

const platform = `${process.platform}-${process.arch}`;
const wanted: readonly { readonly name: string; readonly spec: string; readonly program: string }[] = [
  ...['20.20.2', '22.23.3', '24.21.0'].map((version) => ({
    name: `node ${version}`,
    spec: `node-${platform}@${version}`,
    program: `node-${platform}/bin/node`,
  })),
  { name: 'bun 1.4.5', spec: `@oven/bun-${platform}@1.4.5`, program: `@oven/bun-${platform}/bin/bun` },
];

export const hosts = (): Host[] =>
  wanted.map(({ name, spec, program }) => ({ name, program: fetched(name, spec, program) }));

function fetched(name: string, spec: string, program: string): Host['program'] {
  if (name === `node ${process.versions.node}`) return process.execPath;
  const folder = join(root, '.tools/hosts', name.replace(' ', '-'));
  const file = join(folder, 'node_modules', program);
  if (existsSync(file)) return file;
  const quiet = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  const { stderr } = spawnSync('npm', ['install', ...quiet, '--prefix', folder, spec], { encoding: 'utf8' });
  return existsSync(file) ? file : { absent: `npm does not give ${spec}: ${stderr.trim().split('\n')[0] ?? ''}` };
}

/** This Node, and an older one where PATH has it outside the checkout. */
export function nodes(): string[] {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.startsWith(root));
  const installed = folders.map((folder) => join(folder, 'node')).filter((file) => existsSync(file));
  return [process.execPath, ...installed.slice(0, 1)];
}

/** An ES module as CommonJS: its imports as calls of require, the rest in an async function. */
export function asCommonJs(module: string): string {
  const imports = /^import (\{[^}]*\}) from ('[^']+');$/gm;
  const body = module.replace(imports, (_, names: string, from: string) => `const ${names} = require(${from});`);
  return `(async () => {\n${body}\n})();\n`;
}
