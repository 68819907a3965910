// The tables of apps/examples/README.md are true: every program has a row, every row a program, none is longer than 60 lines.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { repositoryFiles, root } from '../src/workspace.ts';

const folder = 'apps/examples/';
const readme = readFileSync(join(root, folder, 'README.md'), 'utf8');
const programs = repositoryFiles(`${folder}src/*.ts`).map((file) => file.slice(folder.length));
const rows = [...readme.matchAll(/^\|.*\[([^\]]+)\]\((src\/[^)]+)\)\s*\|$/gm)].map(([, name = '', path = '']) => ({
  name,
  path,
}));

it('every program has one row, and every row its program', () => {
  expect(rows.map((row) => row.path).sort()).toEqual([...programs].sort());
  for (const { name, path } of rows) expect(path.endsWith(`/${name}`), path).toBe(true);
});

it.each(programs)('%s has at most 60 lines and opens with what it shows', (program) => {
  const lines = readFileSync(join(root, folder, program), 'utf8')
    .trimEnd()
    .split('\n');
  expect(lines.length).toBeLessThanOrEqual(60);
  expect(lines[0]).toMatch(/^\/\/ \S/);
});
