// Help: every command has examples, all of them parse, and the quick ones run as they stand.
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { examplesOf } from '../src/examples.ts';
import { program } from '../src/main.ts';

const BIN = fileURLToPath(new URL('../bin/ao.mjs', import.meta.url));
const STORIES = fileURLToPath(new URL('../../stories-7m/', import.meta.url));
const commands = program().commands.map((c) => c.name());
const lines = commands.flatMap((command) => examplesOf(command).map((line) => ({ command, line })));

/** The words after `ao`, without quotes, redirections and what surrounds a substitution. */
function wordsOf(line: string): string[] {
  const own = /\bao ([^>)]*)/.exec(line)?.[1] ?? '';
  return [...own.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? '');
}

test.each(commands)('ao help %s shows two to four examples of it', (name) => {
  const examples = examplesOf(name);
  expect(examples.length, `add examples of 'ao ${name}' to src/examples.ts`).toBeGreaterThanOrEqual(2);
  expect(examples.length).toBeLessThanOrEqual(4);
  let help = '';
  const command = program().commands.find((c) => c.name() === name)!;
  command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
  for (const line of examples) {
    expect(wordsOf(line)[0]).toBe(name);
    expect(help).toContain(`  ${line}\n`);
  }
});

test.each(lines)('$line parses', async ({ command, line }) => {
  const ao = program();
  const ran: string[] = [];
  const silent = (c: Command): Command => c.configureOutput({ outputError: () => {}, writeErr: () => {} });
  for (const c of silent(ao).commands) silent(c).action(() => void ran.push(c.name()));
  await ao.parseAsync(wordsOf(line), { from: 'user' });
  expect(ran).toEqual([command]);
});

describe('the quick ones run, in this order, in an empty folder', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ao-examples-'));
    await writeFile(join(folder, 'ao'), `#!/bin/sh\nexec '${process.execPath}' '${BIN}' "$@"\n`);
    await chmod(join(folder, 'ao'), 0o755);
    for (const name of ['validation.txt', 'stories.txt'])
      await copyFile(join(STORIES, 'validation.txt'), join(folder, name));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const quick = lines.filter(({ line }) => /^ao (quantize|convert|inspect|doctor --json)|completion bash/.test(line));
  test.each(quick)('$line', async ({ line }) => {
    const PATH = `${folder}:${process.env['PATH']}`;
    const { stdout } = await promisify(execFile)('bash', ['-c', line], { cwd: folder, env: { ...process.env, PATH } });
    if (!line.includes('completion')) expect(stdout.length).toBeGreaterThan(20);
  });
});
