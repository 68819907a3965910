// node --conditions=@ao/source apps/bench/compat/torchao.ts [SCHEME...]: do files go both ways between torchao and ao? For each
// scheme: ao quantizes SmolLM2, saves it and rewrites it by `convert --to torchao`, transformers loads it; torchao quantizes and
// saves, ao loads it. Compared: greedy tokens, and logits of the same tokens. Where tokens differ, the margin there and what
// rounding noise does tell a bug from an unstable scheme. Writes torchao.md beside this file, where schemes that a run leaves out
// keep their rows. Needs `pnpm bench peers torchao models`.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arange, int32, scope, tensor } from '@ao/core';
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  autoRuntime,
  type CausalLM,
  convertCheckpoint,
  type TorchAoOptions,
  torchAoConfig,
} from '@ao/hf-integration';
import { type AoConfig, configToDict, fqnToConfig, int8WeightOnly, parseScheme } from '@ao/quantization';
import { absent, PEERS } from '../src/peers/where.ts';

const LENGTH = 32;
const TEXTS = ['The capital of France is', 'Once upon a time, there was a little girl who'];

interface Case {
  readonly config: AoConfig;
  readonly options?: TorchAoOptions;
  /** transformers' names of the options. */
  readonly python?: Readonly<Record<string, unknown>>;
}

const scheme = (name: string): Case => ({ config: parseScheme(name) });
const CASES: Readonly<Record<string, () => Case>> = {
  int8wo: () => scheme('int8wo'),
  int8dq: () => scheme('int8dq'),
  float8wo: () => scheme('float8wo'),
  'intx4-asym-32': () => scheme('intx4-asym-32'),
  'intx8-sym': () => scheme('intx8-sym'),
  '8da4w': () => scheme('8da4w-32'),
  'per-module': () => ({
    config: fqnToConfig({ 're:.*mlp.*': parseScheme('8da4w-32'), _default: int8WeightOnly() } as never),
  }),
  'int8wo, untied': () => ({
    config: int8WeightOnly(),
    options: { includeInputOutputEmbeddings: true, untieEmbeddingWeights: true },
    python: { include_input_output_embeddings: true, untie_embedding_weights: true },
  }),
};

interface Answer {
  readonly tokens: readonly (readonly number[])[];
  readonly logits: Float32Array;
}
interface PythonAnswer extends Answer {
  readonly noisy: Float32Array;
  readonly kinds: readonly string[];
}

const why = absent('torchao') ?? absent('models');
if (why !== undefined) throw new Error(why);
const work = mkdtempSync(join(tmpdir(), 'ao-compat-'));
const here = import.meta.dirname;

function python(mode: string, folder: string, request: object, saved: readonly string[] = []): PythonAnswer {
  const [asked, out] = [join(work, 'request.json'), join(work, 'out')];
  writeFileSync(asked, JSON.stringify(request));
  const run = spawnSync(PEERS.python, ['-W', 'ignore', join(here, 'peer.py'), mode, folder, asked, out, ...saved], {
    encoding: 'utf8',
  });
  if (run.status !== 0) throw new Error(run.stderr.trim().split('\n').at(-1));
  const floats = (file: string): Float32Array => new Float32Array(new Uint8Array(readFileSync(file)).buffer);
  const { tokens, kinds } = JSON.parse(readFileSync(`${out}.json`, 'utf8')) as PythonAnswer;
  return { tokens, kinds, logits: floats(`${out}.f32`), noisy: floats(`${out}.noise.f32`) };
}

async function logitsOf(model: CausalLM, ids: readonly number[]): Promise<Float32Array> {
  using cache = model.createCache(ids.length);
  const { rt, device } = model;
  const positions = arange(rt, 0, ids.length, 1, { device });
  const logits = scope(() => model.forward(tensor(rt, [ids], { dtype: int32, device }), { cache, positions }));
  return (await logits.data()) as Float32Array;
}

async function answer(
  model: CausalLM,
  prompts: readonly (readonly number[])[],
  follow?: readonly number[],
): Promise<Answer> {
  const tokens: (readonly number[])[] = [];
  for (const prompt of prompts)
    tokens.push((await model.generate([...prompt], { maxNewTokens: LENGTH, doSample: false, ignoreEos: true })).ids);
  return { tokens, logits: await logitsOf(model, follow ?? prompts[0]!) };
}

/** 20 log10 of signal over difference. */
function sqnr(a: Float32Array, b: Float32Array): number {
  let [signal, noise] = [0, 0];
  for (const [i, x] of a.entries()) {
    signal += x * x;
    noise += (x - b[i]!) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}

/** What agrees: every prompt's tokens up to the first that differs. */
function agreement(a: readonly (readonly number[])[], b: readonly (readonly number[])[]): number[] {
  return a.map((tokens, i) => {
    const at = tokens.findIndex((token, j) => token !== b[i]![j]);
    return at < 0 ? tokens.length : at;
  });
}

const rowOf = (logits: Float32Array, vocab: number, row: number): Float32Array =>
  logits.subarray(row * vocab, (row + 1) * vocab);

/** Between the two largest logits of a row. */
function margin(logits: Float32Array): number {
  const [first = 0, second = 0] = logits.slice().sort().reverse();
  return first - second;
}

/** By how much a row moves at most. */
const moved = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);

/** Of `rows` rows, how many have the same greatest logit. */
function sameChoice(a: Float32Array, b: Float32Array, vocab: number, rows: readonly number[]): string {
  const choice = (logits: Float32Array): number => logits.indexOf(logits.reduce((most, x) => Math.max(most, x)));
  const same = rows.filter((row) => choice(rowOf(a, vocab, row)) === choice(rowOf(b, vocab, row)));
  return `${same.length} of ${rows.length}`;
}

const tokenizer = await AutoTokenizer.fromPretrained(PEERS.smollm2);
const prompts = TEXTS.map((text) => [...tokenizer.encode(text)]);
const file = join(here, 'torchao.md');
const earlier = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
const table = new Map(
  Object.keys(CASES).map((name) => [name, earlier.filter((line) => line.split('|')[1]?.trim() === name)]),
);
const chosen = process.argv.slice(2);
for (const [name, make] of Object.entries(CASES)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const rt = await autoRuntime();
  const rows: string[] = [];
  table.set(name, rows);
  try {
    const { config, options = {}, python: flags = {} } = make();
    const ours = await AutoModelForCausalLM.fromPretrained(PEERS.smollm2, {
      runtime: rt,
      dtype: 'float32',
      quantizationConfig: torchAoConfig(config, options),
    });
    const [folder, packed] = [join(work, 'ours'), join(work, 'packed')];
    await ours.savePretrained(packed);
    await convertCheckpoint(packed, folder, { to: 'torchao', runtime: rt });
    const alone = await answer(ours, prompts);
    const follow = [...prompts[0]!, ...alone.tokens[0]!];
    const request = { prompts, length: LENGTH, follow };
    const mine = await answer(ours, prompts, follow);
    const theirs = python('run', folder, request);
    rows.push(row(name, 'ao saves, transformers loads', mine, theirs, prompts, ours.vocabSize));
    const saved = join(work, 'theirs');
    const made = python('make', PEERS.smollm2, { ...request, config: configToDict(config), options: flags }, [saved]);
    const loaded = await AutoModelForCausalLM.fromPretrained(saved, { runtime: rt, dtype: 'float32' });
    rows.push(
      row(name, 'torchao saves, ao loads', await answer(loaded, prompts, follow), made, prompts, ours.vocabSize),
    );
  } catch (error) {
    rows.push(
      `| ${name} | not compared: ${(error as Error).message.replaceAll(`${work}/`, '').split('\n')[0]!.slice(0, 160)} | | | | | | | |`,
    );
  }
  process.stdout.write(`${rows.join('\n')}\n`);
  publish();
  for (const part of ['ours', 'packed', 'theirs']) rmSync(join(work, part), { recursive: true, force: true });
  await rt.close();
}
rmSync(work, { recursive: true });

function row(
  name: string,
  way: string,
  a: Answer,
  b: PythonAnswer,
  prompts: readonly (readonly number[])[],
  vocab: number,
): string {
  const same = agreement(a.tokens, b.tokens);
  const noise = sqnr(b.logits, b.noisy);
  const difference = sqnr(b.logits, a.logits);
  const start = prompts[0]!.length - 1;
  const rows = Array.from({ length: LENGTH }, (_, i) => start + i);
  const choices = [a.logits, b.noisy].map((logits) => sameChoice(b.logits, logits, vocab, rows));
  const at = same[0]!;
  const [here, noisy] = [b.logits, b.noisy].map((logits) => rowOf(logits, vocab, start + at));
  const parting = at < LENGTH ? [margin(here!).toFixed(3), moved(here!, noisy!).toFixed(3)] : ['', ''];
  const cells = [same.map((n) => `${n} of ${LENGTH}`).join(', '), difference.toFixed(1), noise.toFixed(1)];
  return `| ${[name, way, ...cells, ...choices, ...parting].join(' | ')} |`;
}

function publish(): void {
  const text = `# Round trips with torchao

\`node --conditions=@ao/source apps/bench/compat/torchao.ts\`, SmolLM2-135M-Instruct in float32 on a CPU, torchao 0.18, two prompts of
${LENGTH} greedy tokens each.

- tokens: how many agree before the first that differs, for each prompt.
- SQNR: of ao's logits against Python's, in dB, on the same tokens (the first prompt and what ao continued it with).
- noise: of Python's own logits where its embeddings are off by one part in 2^20: what the scheme makes of rounding.
- same choice: how many of the ${LENGTH} tokens have the same best logit as Python's, ao's and those of the noisy Python.
- margin: between the two best logits in Python where the first prompt's tokens part; moved: how far the noise moves a logit there. Tokens
  part within what Python itself cannot tell where the margin is below twice that.

8da4w rounds every activation to 8 bits, so rounding noise grows with every layer until it changes codes: Python's own tokens
change with its threads. The rows of 8da4w and per-module are of one thread (OMP_NUM_THREADS=1); on two, per-module agreed to 23 and
32 tokens.

What transformers saves of an untied int8 model lacks lm_head.weight: transformers loads random numbers for it, and ao refuses the folder.

| scheme | way | tokens | SQNR | noise | same choice, ao | same choice, noise | margin | moved |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
${[...table.values()].flat().join('\n')}
`;
  writeFileSync(file, text);
}
