// The figure of training in low precision: the Llama of stories-7m from new weights, on a text that stories-7m wrote itself, with products in
// bfloat16, in float8 by each recipe and in MXFP8; a few seeds each, of weights and of the order of the data alike. Writes losses as JSON,
// a table and a plot of the means over seeds. Restartable, run by run: it ends before --minutes are over, exit code 75, and goes on where it was with the same --out.
//   node --conditions=@ao/source apps/bench/training/low-precision.ts --tokens 300000 --minutes 7.5 --out low-precision
import { existsSync, mkdirSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bfloat16, Linear } from '@ao/core';
import { autograd, trainableParameters } from '@ao/core/autograd';
import { convertToFloat8Training, convertToTraining, float8Recipes, float8Training, mxfp8Training } from '@ao/float8';
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  autoRuntime,
  type CausalLM,
  createFile,
  openFile,
} from '@ao/hf-integration';
import { AdamW, getScheduler, optim } from '@ao/optim';
import { loadCheckpoint, openTokens, packedDataset, saveCheckpoint, train, writeTokens } from '@ao/train';
import { commit, machine } from '../src/machine.ts';
import { plotCurves } from './plot-curves.ts';
import { writeStories } from './stories.ts';

const STORIES = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const EXIT_AGAIN = 75;
/** Steps that a point of the plot is the mean of. */
const MEAN_OF = 4;
const inner = (module: unknown, fqn: string): boolean => module instanceof Linear && !fqn.includes('lm_head');

const WAYS: Readonly<Record<string, (model: CausalLM) => void>> = {
  bf16: () => {},
  ...Object.fromEntries(
    float8Recipes().map((recipe) => [
      recipe,
      (model: CausalLM) => void convertToFloat8Training(model, { recipe, moduleFilterFn: inner, countValues: true }),
    ]),
  ),
  mxfp8: (model) => void convertToTraining(model, mxfp8Training(), { moduleFilterFn: inner }),
};

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: '300000' },
    seeds: { type: 'string', default: '3' },
    ways: { type: 'string', default: Object.keys(WAYS).join() },
    threads: { type: 'string' },
    out: { type: 'string' },
    minutes: { type: 'string', default: '7.5' },
    block: { type: 'string', default: '256' },
    batch: { type: 'string', default: '8' },
    lr: { type: 'string', default: '2e-3' },
  },
});
const names = values.ways.split(',');
const [tokens, seeds, minutes, block, batch, lr] = (
  ['tokens', 'seeds', 'minutes', 'block', 'batch', 'lr'] as const
).map((name) => {
  const value = Number(values[name]);
  if (value > 0) return value;
  throw new Error(`--${name} ${values[name]}: it must be a number above 0`);
}) as [number, number, number, number, number, number];
const { out } = values;
if (out === undefined) throw new Error('give --out FOLDER');
const unknown = names.filter((name) => !Object.hasOwn(WAYS, name));
if (unknown.length > 0) throw new Error(`--ways ${unknown}: there are ${Object.keys(WAYS)}`);
if (values.threads !== undefined) process.env['AO_NUM_THREADS'] = values.threads;

const deadline = performance.now() + minutes * 60_000;
const late = new AbortController();
setTimeout(() => late.abort(), minutes * 60_000).unref();
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const again = (): never => {
  say('time is over: start it again to go on');
  process.exit(EXIT_AGAIN);
};

mkdirSync(out, { recursive: true });
const written = join(out, 'stories.jsonl');
if (!(await writeStories({ model: STORIES, file: written, tokens: tokens + block, seed: 0, deadline, say }))) again();

const steps = Math.floor(tokens / (batch * block));
const files = { train: join(out, 'train.safetensors'), validation: join(out, 'validation.safetensors') };
if (!existsSync(files.validation)) {
  const options = { eosTokenId: 0, vocabSize: 4096 };
  const tokenizer = await AutoTokenizer.fromPretrained(STORIES);
  const lines = (await readFile(written, 'utf8')).trim().split('\n');
  await writeTokens(
    await createFile(files.train),
    lines.map((line) => JSON.parse(line) as number[]),
    options,
  );
  const text = await readFile(join(STORIES, 'validation.txt'), 'utf8');
  await writeTokens(await createFile(files.validation), [tokenizer.encode(text, { addSpecialTokens: false })], options);
}

const runtime = await autoRuntime({ use: [autograd(), optim(), float8Training()] });
const data = packedDataset(await openTokens(await openFile(files.train)), block);
const validation = packedDataset(await openTokens(await openFile(files.validation)), block);
const evaluation = { ...validation, length: Math.min(64, validation.length) };

interface Run {
  readonly way: string;
  readonly seed: number;
  /** Mean of the last tenth of the steps, and the last of all, in nats a token. */
  readonly finalLoss: number;
  readonly validationLoss: number;
  readonly secondsPerStep: number;
}

const runs: Run[] = [];
for (let seed = 0; seed < seeds; seed++) for (const way of names) runs.push((await runOf(way, seed)) ?? again());

const mean = (v: readonly number[]): number => v.reduce((a, b) => a + b, 0) / v.length;
const deviation = (v: readonly number[]): number =>
  v.length < 2 ? 0 : Math.sqrt(v.reduce((n, x) => n + (x - mean(v)) ** 2, 0) / (v.length - 1));
const rows = names.map((way) => {
  const own = runs.filter((r) => r.way === way);
  const losses = own.map((r) => r.validationLoss);
  return {
    way,
    validationLoss: mean(losses),
    deviation: deviation(losses),
    finalLoss: mean(own.map((r) => r.finalLoss)),
    secondsPerStep: mean(own.map((r) => r.secondsPerStep)),
  };
});
const base = rows[0]!;
const settings = { tokens: steps * batch * block, steps, block, batch, lr, seeds };
await put(
  join(out, 'low-precision.json'),
  `${JSON.stringify({ ...settings, machine: machine(), commit: commit(), rows, runs }, null, 1)}\n`,
);
const table = [
  '| products | validation loss, mean | standard deviation | above the first | loss, last tenth | s a step |',
  '| --- | --- | --- | --- | --- | --- |',
  ...rows.map(
    (r) =>
      `| ${r.way} | ${r.validationLoss.toFixed(4)} | ${r.deviation.toFixed(4)} | ${(r.validationLoss - base.validationLoss).toFixed(4)} | ` +
      `${r.finalLoss.toFixed(4)} | ${r.secondsPerStep.toFixed(2)} |`,
  ),
].join('\n');
await put(join(out, 'low-precision.md'), `${table}\n`);
const curves = await Promise.all(
  rows.map(async ({ way, validationLoss }) => ({
    label: `${way}: validation ${validationLoss.toFixed(3)}`,
    points: await pointsOf(way),
  })),
);
const title = `A Llama from new weights, products of few bits, means of ${seeds} seeds`;
await put(join(out, 'low-precision.svg'), await plotCurves(title, curves));
say(table);
await runtime.close();

async function pointsOf(way: string): Promise<{ tokens: number; loss: number }[]> {
  const all = await Promise.all(
    Array.from({ length: seeds }, async (_, seed) => {
      return JSON.parse(await readFile(join(out!, `${way}-${seed}.losses`), 'utf8')) as number[];
    }),
  );
  return Array.from({ length: Math.floor(steps / MEAN_OF) }, (_, i) => ({
    tokens: (i + 1) * MEAN_OF * batch * block,
    loss: mean(all.flatMap((losses) => losses.slice(i * MEAN_OF, (i + 1) * MEAN_OF))),
  }));
}

/** One run to its end, products outside the converted linears in bfloat16; undefined where time ends before. */
async function runOf(way: string, seed: number): Promise<Run | undefined> {
  const name = `${way}-${seed}`;
  const paths = {
    done: join(out!, `${name}.json`),
    state: join(out!, `${name}.safetensors`),
    losses: join(out!, `${name}.losses`),
  };
  if (existsSync(paths.done)) return JSON.parse(await readFile(paths.done, 'utf8')) as Run;
  const model = await AutoModelForCausalLM.fromConfig(STORIES, { runtime, seed });
  WAYS[way]!(model);
  const parameters = new Map(trainableParameters(model));
  const optimizer = new AdamW([...parameters.values()], { lr, weightDecay: 0.1 });
  const scheduler = getScheduler('cosine', optimizer, {
    numWarmupSteps: Math.ceil(steps / 20),
    numTrainingSteps: steps,
  });
  const parts = { parameters, optimizer };
  const begun = existsSync(paths.state) && existsSync(paths.losses);
  const losses = begun ? (JSON.parse(await readFile(paths.losses, 'utf8')) as number[]) : [];
  const resume = begun ? await restored(paths.state, parts) : undefined;
  const [first, from] = [performance.now(), losses.length];
  const result = await train({
    ...{ model, optimizer, scheduler, data, evaluation, batchSize: batch, maxSteps: steps, seed, autocast: bfloat16 },
    ...(resume === undefined ? {} : { resume }),
    saveSteps: 50,
    signal: late.signal,
    onStep: ({ step, loss }) => {
      losses[step - 1] = loss;
    },
    onLog: (line) => say(`${name} ${JSON.stringify(line)}`),
    save: async (state) => {
      await saveCheckpoint(await createFile(paths.state), parts, state);
      await put(paths.losses, JSON.stringify(losses.slice(0, state.step)));
    },
  });
  const secondsPerStep = (performance.now() - first) / 1000 / Math.max(1, losses.length - from);
  model.dispose();
  if (result.aborted) return undefined;
  const last = losses.slice(-Math.max(1, Math.floor(steps / 10)));
  const finalLoss = last.reduce((a, b) => a + b, 0) / last.length;
  const run = { way, seed, finalLoss, validationLoss: result.evalLoss ?? Number.NaN, secondsPerStep };
  await put(paths.done, JSON.stringify(run));
  return run;
}

async function restored(path: string, parts: Parameters<typeof loadCheckpoint>[1]): ReturnType<typeof loadCheckpoint> {
  const file = await openFile(path);
  try {
    return await loadCheckpoint(file, parts);
  } finally {
    await file.close();
  }
}

async function put(path: string, text: string): Promise<void> {
  await writeFile(`${path}.tmp`, text);
  await rename(`${path}.tmp`, path);
}
