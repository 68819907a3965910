// analyze, recommend, quantize --target-bpw and --config, eval --task as commands.
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ao, json } from './run.ts';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const TEXT = at('../../stories-7m/validation.txt');
const DOCUMENTS = at('../../../packages/hf-integration/test/fixtures/lm-eval/hellaswag.jsonl');

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ao-cli-analyze-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('an analysis makes a mix, the mix is a file to edit, and the file quantizes to the promised size', async () => {
  const [analysis, config, output] = ['analysis.json', 'mix.json', 'mixed'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const schemes = ['--scheme', 'int4wo-128', '--scheme', 'int8wo'];
  const told = await json(
    'analyze',
    'stories-7m',
    '--text',
    TEXT,
    '--tokens',
    '16',
    '--kl',
    'one',
    ...schemes,
    '-o',
    analysis,
  );
  expect(JSON.parse(await readFile(analysis, 'utf8'))).toEqual(told);
  expect(told).toMatchObject({ format: 'ao-analysis', positions: 16 });
  expect(told['layers']).toHaveLength(57);
  const mixed = await json('recommend', 'stories-7m', '--target-bpw', '4.6', '--analysis', analysis, '-o', config);
  expect(Math.abs((mixed['bitsPerWeight'] as number) - 4.6)).toBeLessThan(0.05);
  const file = await readFile(config, 'utf8');
  expect(file).toBe(mixed['file']);
  expect(Object.keys(JSON.parse(file) as object)).toHaveLength(58);
  expect(file).toMatch(/^ {2}"model\.layers\.7\.mlp\.down_proj": "int\S+",$/m);
  await json('quantize', 'stories-7m', '--config', config, '-o', output);
  expect((await stat(join(output, 'model.safetensors'))).size).toBe(mixed['bytes']);
});

test('quantize --target-bpw by the errors of weights alone', async () => {
  const output = join(folder, 'six');
  await json('quantize', 'stories-7m', '--target-bpw', '6', '-o', output);
  const { size } = await stat(join(output, 'model.safetensors'));
  expect(Math.abs((8 * size) / 7_344_384 - 6)).toBeLessThan(0.05);
});

test('eval --task, recommend --memory', async () => {
  const result = await json('eval', 'stories-7m', '--task', 'hellaswag', '--data', DOCUMENTS, '--limit', '2');
  expect(result).toEqual({ task: 'hellaswag', documents: 2, figures: { acc: 1, acc_norm: 1 } });
  const found = await json('recommend', 'stories-7m', '--memory', '4GB', '--task', 'batch');
  expect(found).toMatchObject({ scheme: 'int8dq', memory: 4e9 });
});

test('wrong use', async () => {
  const bad = join(folder, 'bad.json');
  await writeFile(bad, '{"lm_head": 3}');
  const cases: [number, RegExp, string[]][] = [
    [2, /needs --data FILE/, ['eval', 'stories-7m', '--task', 'wikitext']],
    [2, /needs --text FILE/, ['eval', 'stories-7m']],
    [
      2,
      /leave --scheme and --rule out/,
      ['quantize', 'stories-7m', '--config', bad, '--scheme', 'int8wo', '--dry-run'],
    ],
    [
      2,
      /chooses schemes by itself/,
      ['quantize', 'stories-7m', '--target-bpw', '5', '--scheme', 'int8wo', '--dry-run'],
    ],
    [1, /bad\.json\["lm_head"\]/, ['quantize', 'stories-7m', '--config', bad, '--dry-run']],
    [1, /no analysis/, ['recommend', 'stories-7m', '--target-bpw', '5', '--analysis', bad]],
  ];
  await Promise.all(
    cases.map(async ([code, message, args]) => {
      const ran = await ao(...args);
      expect(ran, args.join(' ')).toMatchObject({ code, stdout: '' });
      expect(ran.stderr).toMatch(message);
    }),
  );
});
