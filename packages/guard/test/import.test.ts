// An import does nothing: no global, no listener, no handle that keeps the process alive, no file opened, no word on the console.
// The one exception is the table under Symbol.for('@ao/core/v1'), by which the ESM and the CJS copy of core know each other.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { publicPackages, root } from '../src/workspace.ts';

const probe = (name: string): string => `
  import fs from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  const opened = [];
  for (const call of ['open', 'openSync', 'readFile', 'createReadStream']) {
    const original = fs[call];
    fs[call] = (...args) => (opened.push(String(args[0])), original(...args));
  }
  await import('data:text/javascript,export{}');
  process.stdout.write('');
  process.dlopen = (_, file) => opened.push(file);
  syncBuiltinESMExports();
  const prototypes = [Object, Array, Function, Promise, Float32Array, Error].map((c) => c.prototype);
  const state = () => ({
    globals: Reflect.ownKeys(globalThis).map(String).filter((name) => name !== 'Symbol(@ao/core/v1)'),
    prototypes: prototypes.map((p) => Reflect.ownKeys(p).map(String)),
    listeners: process.eventNames().map(String),
    handles: process.getActiveResourcesInfo(),
    environment: { ...process.env },
  });
  const before = state();
  const { default: _, ...names } = await import(${JSON.stringify(name)});
  const ours = opened.filter((file) => !/\\.(ts|js|cjs|mjs|json)$/.test(file));
  process.stdout.write(JSON.stringify({ before, after: state(), ours, names: Object.keys(names).length }));
`;

it.each(publicPackages())('$manifest.name does nothing when imported', async ({ manifest }) => {
  const args = ['--conditions=@ao/source', '--input-type=module', '--eval', probe(manifest.name)];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: `${root}/packages/guard` });
  expect(stderr).toBe('');
  const { before, after, ours } = JSON.parse(stdout);
  expect(after).toEqual(before);
  expect(ours).toEqual([]);
});
