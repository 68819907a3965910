// Runs the TypeScript snippets of the READMEs as they stand, each as a program of its own, on the packages' sources.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { snippets } from '../src/snippets.ts';
import { repositoryFiles, root } from '../src/workspace.ts';

// below this package, so that '@ao/...' resolves as in a user's project
const folder = join(root, 'packages/guard/.snippets');
mkdirSync(folder, { recursive: true });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (file: string): Promise<{ code: number | null; output: string }> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, ['--conditions=@ao/source', file], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('close', (code) => resolve({ code, output }));
  });

const found = repositoryFiles('README.md', '*/README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md').flatMap((file) =>
  snippets(readFileSync(join(root, file), 'utf8')).map((snippet) => ({ ...snippet, file })),
);

describe('snippets', () => {
  it('are found by their fence and line', () => {
    const markdown =
      '# a\n\n```ts\nconst a = 1;\n```\n\n```ts no-run\nb();\n```\n\n```sh\nnpm test\n```\n\n```ts\nc();\n```\n';
    expect(snippets(markdown)).toEqual([
      { line: 3, code: 'const a = 1;\n' },
      { line: 15, code: 'c();\n' },
    ]);
  });

  it.each(found)(
    '$file:$line runs',
    async ({ file, line, code }) => {
      const program = join(folder, `${file.replace(/\W+/g, '-')}-${line}.ts`);
      writeFileSync(program, code);
      const { code: exit, output } = await run(program);
      expect(exit, output).toBe(0);
    },
    120_000,
  );
});
