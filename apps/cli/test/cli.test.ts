import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ao, json, start } from './run.ts';

const reference = JSON.parse(
  await readFile(fileURLToPath(new URL('../../stories-7m/reference.json', import.meta.url)), 'utf8'),
) as { greedy: { prompt: number[]; tokens: number[] } };
const { prompt, tokens } = reference.greedy;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ao-cli-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('--json gives one object with the fields of its contract', () => {
  test('generate', async () => {
    const result = await json(
      'generate',
      'stories-7m',
      '--prompt-ids',
      prompt.join(','),
      '--max-tokens',
      '6',
      '--temperature',
      '0',
    );
    expect(result).toMatchObject({ promptIds: prompt, ids: tokens.slice(0, 6) });
    expect(typeof result['text']).toBe('string');
    expect(result['prefillTokensPerSecond']).toBeGreaterThan(0);
    expect(result['decodeTokensPerSecond']).toBeGreaterThan(0);
  });

  test('generate, several prompts', async () => {
    const args = ['generate', 'stories-7m', '--max-tokens', '6', '--temperature', '0'];
    const [a, b] = ['Once upon a time', 'The dog'];
    const { sequences } = await json(...args, '--prompt', a, '--prompt', b);
    const alone = [await json(...args, '--prompt', a), await json(...args, '--prompt', b)];
    const ids = (results: unknown) => (results as { ids: number[] }[]).map((r) => r.ids);
    expect(ids(sequences)).toEqual(ids(alone));
  });

  test('generate, JSON of a schema in several sequences, with log-probabilities', async () => {
    const file = join(folder, 'schema.json');
    const schema = { type: 'object', properties: { n: { type: 'integer', minimum: 5, maximum: 60 } }, required: ['n'] };
    await writeFile(file, JSON.stringify(schema));
    const args = ['generate', 'stories-7m', '--prompt', 'A dog', '--max-tokens', '24', '--temperature', '9'];
    const more = ['--json-schema', file, '--sequences', '3', '--logprobs', '2', '--min-p', '0.001'];
    const { sequences } = await json(...args, ...more, '--logit-bias', '5=-inf', '--repetition-penalty', '1.1');
    const all = sequences as { text: string; ids: number[]; logprobs: { id: number; top: unknown[] }[] }[];
    expect(all.length).toBe(3);
    for (const { text, ids, logprobs } of all) {
      const { n } = JSON.parse(text) as { n: number };
      expect(n >= 5 && n <= 60 && Number.isInteger(n)).toBe(true);
      expect(logprobs.map((t) => [t.id, t.top.length])).toEqual(ids.map((id) => [id, 2]));
    }
  });

  test('eval', async () => {
    const text = join(folder, 'text.txt');
    await writeFile(
      text,
      'Once upon a time there was a little fox who lived in a big forest with his mother and his father.',
    );
    const args = ['eval', 'stories-7m', '--text', text, '--window', '16', '--windows', '1'];
    const float = await json(...args);
    expect(float).toEqual({ crossEntropy: expect.any(Number), perplexity: expect.any(Number), tokens: 16 });
    expect(float['perplexity']).toBeCloseTo(Math.exp(float['crossEntropy'] as number), 9);
    const int4 = await json(...args, '--scheme', 'int4wo-32');
    expect(int4['crossEntropy']).not.toBe(float['crossEntropy']);
    expect(Math.abs((int4['crossEntropy'] as number) - (float['crossEntropy'] as number))).toBeLessThan(0.2);
  });

  test('quantize, inspect, generate from the folder', async () => {
    const out = join(folder, 'q');
    const report = await json(
      'quantize',
      'stories-7m',
      '--scheme',
      'int8wo',
      '--rule',
      're:.*down_proj=none',
      '--rule',
      'lm_head=int8wo',
      '-o',
      out,
    );
    const rows = report['rows'] as { fqn: string; scheme: string | null }[];
    expect(rows.find((r) => r.fqn === 'model.embed_tokens.weight')?.scheme).toBe('int8wo');
    expect(rows.filter((r) => r.scheme === null).every((r) => r.fqn.includes('down_proj'))).toBe(true);
    const { modules } = (await json('inspect', out)) as {
      modules: { name: string; scheme: string; shape: number[]; bytes: number }[];
    };
    expect(modules.find((m) => m.name.endsWith('0.mlp.up_proj'))).toMatchObject({
      scheme: 'int8wo',
      shape: [768, 256],
      bytes: 768 * 256 + 768 * 5,
    });
    expect(modules.find((m) => m.name.endsWith('0.mlp.down_proj'))).toMatchObject({ scheme: 'bfloat16' });
    const { ids } = await json(
      'generate',
      out,
      '--prompt-ids',
      prompt.join(','),
      '--max-tokens',
      '3',
      '--temperature',
      '0',
    );
    expect(ids).toEqual(tokens.slice(0, 3));
    const again = await ao('quantize', 'stories-7m', '--scheme', 'int8wo', '-o', out);
    expect(again).toMatchObject({ code: 1, stdout: '' });
    expect(again.stderr).toMatch(/holds a model already/);
  });

  test('bench and doctor', async () => {
    const bench = await json(
      'bench',
      'stories-7m',
      '--prompt-tokens',
      '8',
      '--new-tokens',
      '2',
      '--repeats',
      '1',
      '--threads',
      '1',
    );
    expect(Object.keys(bench)).toEqual([
      'prefillTokensPerSecond',
      'decodeTokensPerSecond',
      'weightBytes',
      'peakRssBytes',
    ]);
    for (const value of Object.values(bench)) expect(value).toBeGreaterThan(0);
    const doctor = await json('doctor');
    expect(doctor['backends']).toContainEqual(expect.objectContaining({ name: 'reference' }));
    for (const name of ['@ao/kernels-cpu', '@ao/kernels-cuda'])
      expect(doctor['packages']).toContainEqual(expect.objectContaining({ package: name }));
    const cuda = (doctor['backends'] as { name: string; available: boolean; reason?: string }[]).filter(
      ({ name }) => name === 'cuda',
    );
    expect(cuda).toHaveLength(1);
    if (!cuda[0]!.available) expect(cuda[0]!.reason).toMatch(/driver|GPU|CUDA|not there|not built/);
  });
});

test('a dry run writes nothing', async () => {
  const report = await json('quantize', 'stories-7m', '--scheme', '8da4w-32', '--dry-run', '-o', join(folder, 'dry'));
  expect(report['dryRun']).toBe(true);
  expect(existsSync(join(folder, 'dry'))).toBe(false);
});

test('an untied head and its embedding have schemes of their own', async () => {
  const rules = ['--rule', 'lm_head=int8wo', '--rule', 'model.embed_tokens=intx4-32'];
  const args = ['quantize', 'stories-7m', '--scheme', 'int4wo-32', ...rules, '--dry-run'];
  expect((await ao(...args)).stderr).toMatch(/one shared tensor.*lm_head/);
  const { rows } = (await json(...args, '--untie')) as { rows: { fqn: string; scheme: string }[] };
  const schemes = Object.fromEntries(rows.map((r) => [r.fqn, r.scheme]));
  expect(schemes).toMatchObject({ 'lm_head.weight': 'int8wo', 'model.embed_tokens.weight': 'intx4-sym-32' });
});

test('exit codes: 2 for wrong use, 1 for what cannot be done, with the fix on stderr and nothing on stdout', async () => {
  const cases: [number, RegExp, string[]][] = [
    [2, /unknown command/, ['frobnicate']],
    [2, /is no folder/, ['inspect', './no-such-model']],
    [2, /needs -o FOLDER/, ['quantize', 'stories-7m', '--scheme', 'int8wo']],
    [2, /needs --calibration FILE/, ['quantize', 'stories-7m', '--scheme', 'int4wo', '--algorithm', 'gptq', '-o', 'x']],
    [
      2,
      /unknown algorithm 'gtpq'. Known: rotate/,
      ['quantize', 'stories-7m', '--scheme', 'int4wo', '--algorithm', 'gtpq'],
    ],
    [2, /they run in the order rotate/, ['quantize', 'stories-7m', '--scheme', 'int4wo', '--algorithm', 'gptq,awq']],
    [2, /give one of them/, ['quantize', 'stories-7m', '--scheme', 'int4wo', '--algorithm', 'gptq,autoround']],
    [
      1,
      /HQQ has no form of Int8WeightOnlyConfig/,
      ['quantize', 'stories-7m', '--scheme', 'int8wo', '--algorithm', 'hqq', '-o', 'x'],
    ],
    [2, /needs --prompt/, ['generate', 'stories-7m']],
    [2, /whole number/, ['generate', 'stories-7m', '--prompt-ids', '1,x']],
    [2, /ID=NUMBER/, ['generate', 'stories-7m', '--prompt', 'a', '--logit-bias', '7']],
    [2, /--json-schema none.json/, ['generate', 'stories-7m', '--prompt', 'a', '--json-schema', 'none.json']],
    [1, /minP is 3/, ['generate', 'stories-7m', '--prompt', 'a', '--min-p', '3']],
    [
      1,
      /unknown scheme 'int9wo'/,
      ['eval', 'stories-7m', '--text', fileURLToPath(import.meta.url), '--scheme', 'int9wo'],
    ],
    [
      1,
      /down_proj/,
      ['quantize', 'stories-7m', '--rule', '*down_proj=int8_static_activation_int8_weight', '--dry-run'],
    ],
  ];
  for (const [code, message, args] of cases) {
    const ran = await ao(...args);
    expect(ran, args.join(' ')).toMatchObject({ code, stdout: '' });
    expect(ran.stderr).toMatch(message);
  }
  const help = await ao('--help');
  expect(help).toMatchObject({ code: 0, stderr: '' });
  for (const name of ['quantize', 'generate', 'eval', 'inspect', 'bench', 'doctor'])
    expect(help.stdout).toContain(name);
});

test('Ctrl-C leaves nothing broken: the same command goes on', async () => {
  const command = ['quantize', 'stories-7m', '--scheme', 'int4wo-32', '-o', join(folder, 'interrupted')];
  // on the slow backend, so that there is time to interrupt
  const { child, ran } = start(command, { AO_NATIVE: '0' });
  while (!(await readdir(folder)).some((name) => name.startsWith('.interrupted')))
    await new Promise((r) => setTimeout(r, 10));
  child.kill('SIGINT');
  const { code, stderr } = await ran;
  expect(code).toBe(130);
  expect(stderr).toMatch(/interrupted/);
  const left = async (): Promise<string[]> => (await readdir(folder)).filter((name) => name.includes('interrupted'));
  // the journal, once a weight is done
  expect(['', '.interrupted.quantize']).toContain((await left()).join());
  expect((await start(command).ran).code).toBe(0);
  expect(await left()).toEqual(['interrupted']);
});
