// The trap of cached native builds is a stale binary: turbo must see a change in kernels/cpu although the addon is built in
// packages/kernels-cpu. Run on a copy of the workspace where a one-line script stands in for the compiler: it writes a digest of the
// kernel sources where the addon would go. turbo.json, the manifests and the folders are the real ones.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { repositoryFiles, root } from '../src/workspace.ts';

const copy = mkdtempSync(join(tmpdir(), 'ao-native-cache-'));
const at = (file: string): string => join(copy, file);
const addon = 'packages/kernels-cpu/build/Release/ao_cpu.node';
const kernel = 'kernels/cpu/elementwise/added.cc';
const compiler = `
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
const hash = createHash('sha256');
for (const entry of readdirSync('../../kernels/cpu', { recursive: true, withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1)))
  if (entry.isFile()) hash.update(readFileSync(entry.parentPath + '/' + entry.name));
mkdirSync('build/Release', { recursive: true });
writeFileSync('build/Release/ao_cpu.node', hash.digest('hex'));
`;

function turbo(...args: string[]): string {
  const turboArgs = ['run', 'build:native', '--filter=@ao/kernels-cpu', ...args];
  const env = { ...process.env, TURBO_TELEMETRY_DISABLED: '1', TURBO_CACHE_DIR: at('.turbo/cache') };
  return execFileSync(join(root, 'node_modules/.bin/turbo'), turboArgs, {
    cwd: copy,
    encoding: 'utf8',
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

interface Task {
  readonly taskId: string;
  readonly hash: string;
  readonly cache: { readonly status: 'HIT' | 'MISS' };
}

function state(): Task {
  const { tasks } = JSON.parse(turbo('--dry=json')) as { tasks: Task[] };
  const task = tasks.find(({ taskId }) => taskId === '@ao/kernels-cpu#build:native');
  if (!task) throw new Error('turbo knows no task @ao/kernels-cpu#build:native');
  return task;
}

const write = (file: string, text: string): void => {
  mkdirSync(dirname(at(file)), { recursive: true });
  writeFileSync(at(file), text);
};

beforeAll(() => {
  const wanted = [
    'package.json',
    'pnpm-workspace.yaml',
    'pnpm-lock.yaml',
    'turbo.json',
    'tsconfig.base.json',
    '.gitignore',
    '*/package.json',
    'kernels/cpu/*',
  ];
  for (const file of repositoryFiles(...wanted)) {
    mkdirSync(dirname(at(file)), { recursive: true });
    cpSync(join(root, file), at(file));
  }
  const manifestFile = 'packages/kernels-cpu/package.json';
  const manifest = JSON.parse(readFileSync(at(manifestFile), 'utf8')) as { scripts: Record<string, string> };
  manifest.scripts['build:native'] = 'node compiler.mjs';
  write(manifestFile, JSON.stringify(manifest));
  write('packages/kernels-cpu/compiler.mjs', compiler);
  write(kernel, 'int added() { return 1; }\n');
  execFileSync('git', ['init', '-q'], { cwd: copy });
  execFileSync('git', ['add', '-A'], { cwd: copy });
});

afterAll(() => rmSync(copy, { recursive: true, force: true }));

it('a changed .cc is a miss, its revert a hit that brings back the right binary', () => {
  expect(state().cache.status).toBe('MISS');
  turbo();
  const original = { task: state(), binary: readFileSync(at(addon), 'utf8') };
  expect(original.task.cache.status).toBe('HIT');

  write(kernel, 'int added() { return 2; }\n');
  expect(state()).toMatchObject({ cache: { status: 'MISS' } });
  expect(state().hash).not.toBe(original.task.hash);
  turbo();
  expect(readFileSync(at(addon), 'utf8')).not.toBe(original.binary);

  write(kernel, 'int added() { return 1; }\n');
  expect(state()).toMatchObject({ hash: original.task.hash, cache: { status: 'HIT' } });
  turbo();
  expect(readFileSync(at(addon), 'utf8')).toBe(original.binary);
}, 60_000);

it('a new kernel, the table of exports and the binding count as well, TypeScript does not', () => {
  const before = state().hash;
  write('packages/kernels-cpu/src/unrelated.ts', 'export const unrelated = 1;\n');
  expect(state().hash).toBe(before);

  const seen = new Set([before]);
  for (const file of [
    'kernels/cpu/elementwise/isa/another.cc',
    'kernels/cpu/base/another.h',
    'kernels/cpu/exports.inc',
    'kernels/cpu/CMakeLists.txt',
    'packages/kernels-cpu/binding/another.cc',
    'packages/kernels-cpu/CMakeLists.txt',
  ]) {
    write(file, '// changed\n');
    const { hash } = state();
    expect(seen.has(hash), file).toBe(false);
    seen.add(hash);
  }
}, 60_000);

it('what CMake leaves in kernels/cpu/build does not count', () => {
  const before = state().hash;
  write('kernels/cpu/build/CMakeFiles/probe.cc', 'int probe;\n');
  expect(state().hash).toBe(before);
}, 60_000);

it('a compiler from the environment counts', () => {
  const before = state().hash;
  process.env['CXX'] = 'another-compiler';
  try {
    expect(state().hash).not.toBe(before);
  } finally {
    delete process.env['CXX'];
  }
}, 60_000);
