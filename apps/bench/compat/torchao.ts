// node --conditions=@ao/source apps/bench/compat/torchao.ts [SCHEME...]: do files go both ways between torchao and ao? For each
// scheme: ao quantizes and saves SmolLM2, transformers loads it; torchao quantizes and saves, ao loads it. Compared: greedy tokens,
// and logits of the same tokens. Where tokens differ, the margin there and what rounding noise does tell a bug from an unstable
// scheme. Writes torchao.md beside this file. Needs `pnpm bench peers torchao models`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arange, int32, scope, tensor } from '@ao/core';
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  autoRuntime,
  type CausalLM,
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

/** Between the two largest logits of a row. */
function margin(logits: Float32Array, vocab: number, row: number): number {
  const [first = 0, second = 0] = logits
    .slice(row * vocab, (row + 1) * vocab)
    .sort()
    .reverse();
  return first - second;
}

const tokenizer = await AutoTokenizer.fromPretrained(PEERS.smollm2);
const prompts = TEXTS.map((text) => [...tokenizer.encode(text)]);
const rows: string[] = [];
const chosen = process.argv.slice(2);
for (const [name, make] of Object.entries(CASES)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const rt = await autoRuntime();
  try {
    const { config, options = {}, python: flags = {} } = make();
    const ours = await AutoModelForCausalLM.fromPretrained(PEERS.smollm2, {
      runtime: rt,
      dtype: 'float32',
      quantizationConfig: torchAoConfig(config, options),
    });
    const folder = join(work, 'ours');
    await ours.savePretrained(folder);
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
    rows.push(`| ${name} | not compared: ${(error as Error).message.split('\n')[0]!.slice(0, 160)} | | | | |`);
  }
  process.stdout.write(`${rows.slice(-2).join('\n')}\n`);
  publish();
  for (const part of ['ours', 'theirs']) rmSync(join(work, part), { recursive: true, force: true });
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
  const at = same[0]!;
  const close = at < LENGTH ? margin(b.logits, vocab, prompts[0]!.length + at - 1).toFixed(3) : '';
  return `| ${name} | ${way} | ${same.map((n) => `${n} of ${LENGTH}`).join(', ')} | ${difference.toFixed(1)} | ${noise.toFixed(1)} | ${close} |`;
}

function publish(): void {
  const text = `# Round trips with torchao

\`node --conditions=@ao/source apps/bench/compat/torchao.ts\`, SmolLM2-135M-Instruct in float32 on a CPU, torchao 0.18, two prompts of
${LENGTH} greedy tokens each.

- tokens: how many agree before the first that differs, for each prompt.
- SQNR: of ao's logits against Python's, in dB, on the same tokens (the first prompt and what ao continued it with).
- noise: of Python's own logits where its embeddings are off by one part in 2^20: what the scheme makes of rounding.
- margin: between the two best logits in Python where the first prompt's tokens part.

| scheme | way | tokens | SQNR | noise | margin |
| --- | --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
  writeFileSync(join(here, 'torchao.md'), text);
}
