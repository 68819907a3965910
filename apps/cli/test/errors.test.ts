// How failures are told, and what --verbose, --quiet and NO_COLOR change.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { paint } from '../src/color.ts';
import { oneLine } from '../src/one-line.ts';
import { parseSize } from '../src/size.ts';
import { ao } from './run.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ao-errors-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test.each([
  [2, /^ao: unknown command 'quantiz'. \(Did you mean quantize\?\). Fix: ao help shows how\.$/, ['quantiz']],
  [
    2,
    /^ao: unknown option '--shceme'. \(Did you mean --scheme\?\). Fix: ao help quantize/,
    ['quantize', 'x', '--shceme', 'y'],
  ],
  [2, /^ao: --to gguf needs --gguf-type, one of q4_0, /, ['convert', 'stories-7m', '-o', 'x.gguf', '--to', 'gguf']],
  [
    2,
    /^ao: --to gguf writes one file: give -o NAME.gguf/,
    ['convert', 'stories-7m', '-o', 'x', '--to', 'gguf', '--gguf-type', 'q8_0'],
  ],
  [2, /^ao: papyrus is no format that ao knows. Fix/, ['convert', 'stories-7m', '-o', 'x', '--to', 'papyrus']],
  [
    1,
    /^ao: .*stories-7m\/? is not quantized, there is nothing to dequantize. Fix: /,
    ['convert', 'stories-7m', '-o', 'x', '--dequantize'],
  ],
  [2, /'2 loaves' is invalid.*such as '2GB'/, ['convert', 'stories-7m', '-o', 'x', '--max-shard-size', '2 loaves']],
  [
    1,
    /^ao: quantize: 56 modules cannot .*q_proj.*; and 53 more, all with --verbose. Fix: use a setting that fits/,
    ['quantize', 'stories-7m', '--scheme', 'int8_static_activation_int8_weight', '--dry-run'],
  ],
] as const)('exit code %i, in one line: %s', async (code, message, args) => {
  const ran = await ao(...args);
  expect(ran).toMatchObject({ code, stdout: '' });
  expect(ran.stderr).toMatch(/^[^\n]+\n$/);
  expect(ran.stderr.trimEnd()).toMatch(message);
});

test('--verbose, before or after the command, gives the whole message, the stack and the causes', async () => {
  for (const args of [
    ['--verbose', 'quantize', 'stories-7m', '--scheme', 'int8_static_activation_int8_weight', '--dry-run'],
    ['quantize', 'stories-7m', '--scheme', 'int8_static_activation_int8_weight', '--dry-run', '--verbose'],
  ]) {
    const { stderr, code } = await ao(...args);
    expect(code).toBe(1);
    expect(stderr.match(/q_proj: /g)).toHaveLength(8);
    expect(stderr).toMatch(/\n {4}at .*tensorPlans/);
    expect(stderr).toContain("code: 'ERR_AO_CONFIG'");
  }
  const missing = join(folder, 'absent.txt');
  const { stderr } = await ao('eval', 'stories-7m', '--text', missing, '--verbose');
  expect(stderr).toMatch(/cause.*ENOENT/s);
});

test('--quiet: results and errors, no notes', async () => {
  const args = ['quantize', 'stories-7m', '--scheme', 'int8wo', '--rule', 'nowhere=none', '--dry-run'];
  expect((await ao(...args)).stderr).toBe("ao: rule 'nowhere' matches nothing\n");
  const quiet = await ao(...args, '--quiet');
  expect(quiet).toMatchObject({ code: 0, stderr: '' });
  expect(quiet.stdout).toContain('14.7 MB ->');
  expect((await ao('inspect', './nowhere', '-q')).stderr).toMatch(/^ao: \.\/nowhere is no folder/);
});

describe('one line', () => {
  test.each([
    ['a b. Fix: c.', 'a b. Fix: c.'],
    ['two things:\n  a: x\n  b: y\n. Fix: do z.', 'two things: a: x; b: y. Fix: do z.'],
    ['five:\n a\n b\n c\n d\n e', 'five: a; b; c; and 2 more, all with --verbose.'],
    ['no scheme. Fix: use one of\n  a\n  b', 'no scheme. Fix: use one of a; b.'],
  ])('%j', (message, line) => expect(oneLine(message)).toBe(line));
});

test('colours only where the stream has them', () => {
  const stream = (colors: boolean) => ({ hasColors: () => colors }) as never;
  expect(paint('ao', 'red', stream(true))).toBe('\u001b[31mao\u001b[0m');
  expect(paint('ao', 'red', stream(false))).toBe('ao');
  expect(paint('ao', 'red', {} as never)).toBe('ao');
});

test('sizes', () => {
  expect(['2GB', '500MB', '1.5 KiB', '4096', '3M'].map(parseSize)).toEqual([2e9, 5e8, 1536, 4096, 3e6]);
  for (const wrong of ['', 'GB', '-1', '0', '2TB', '1e9']) expect(() => parseSize(wrong)).toThrow(/such as/);
});
