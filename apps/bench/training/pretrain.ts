// The figure of training with few bits of optimizer state: the Llama of stories-7m from new weights, on a text that stories-7m wrote itself, once with each
// optimizer, seeds and order of the data equal. Writes curves, validation losses and counted bytes as JSON, and a plot. Restartable: it ends
// before --minutes are over, exit code 75, and goes on where it was when it is started again with the same --out.
//   node --conditions=@ao/source apps/bench/training/pretrain.ts --tokens 2000000 --threads 16 --minutes 7.5 --out pretrain
import { existsSync, mkdirSync } from 'node:fs';
import { appendFile, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { autograd } from '@ao/core/autograd';
import { AutoModelForCausalLM, AutoTokenizer, autoRuntime, createFile, openFile } from '@ao/hf-integration';
import { AdamW, AdamW4bit, AdamW8bit, AdamWFp8, getScheduler, type Optimizer, optim } from '@ao/optim';
import { loadCheckpoint, openTokens, packedDataset, saveCheckpoint, train, writeTokens } from '@ao/train';
import { commit, machine } from '../src/machine.ts';
import { plotCurves } from './plot-curves.ts';
import { writeStories } from './stories.ts';

const STORIES = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const EXIT_AGAIN = 75;
/** Steps a point of the curve. */
const MEAN_OF = 10;

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: '2000000' },
    threads: { type: 'string' },
    out: { type: 'string' },
    minutes: { type: 'string', default: '7.5' },
    optimizers: { type: 'string', default: 'AdamW,AdamW8bit,AdamW4bit' },
    block: { type: 'string', default: '256' },
    batch: { type: 'string', default: '8' },
    lr: { type: 'string', default: '2e-3' },
    seed: { type: 'string', default: '0' },
  },
});
const CLASSES = { AdamW, AdamW8bit, AdamW4bit, AdamWFp8 };
const names = values.optimizers.split(',') as (keyof typeof CLASSES)[];
const [tokens, minutes, block, batch, lr, seed] = (['tokens', 'minutes', 'block', 'batch', 'lr', 'seed'] as const).map(
  (name) => {
    const value = Number(values[name]);
    if (value > 0 || (name === 'seed' && value === 0)) return value;
    throw new Error(`--${name} ${values[name]}: it must be a number above 0`);
  },
) as [number, number, number, number, number, number];
const { out } = values;
if (out === undefined) throw new Error('give --out FOLDER');
const unknown = names.filter((name) => !(name in CLASSES));
if (unknown.length > 0) throw new Error(`--optimizers ${unknown}: there are ${Object.keys(CLASSES)}`);
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
if (!(await writeStories({ model: STORIES, file: written, tokens: tokens + block, seed, deadline, say }))) again();

const steps = Math.floor(tokens / (batch * block));
const tokenizer = await AutoTokenizer.fromPretrained(STORIES);
const files = { train: join(out, 'train.safetensors'), validation: join(out, 'validation.safetensors') };
if (!existsSync(files.validation)) {
  const options = { eosTokenId: 0, vocabSize: 4096 };
  const stories = (await readFile(written, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as number[]);
  await writeTokens(await createFile(files.train), stories, options);
  const text = await readFile(join(STORIES, 'validation.txt'), 'utf8');
  await writeTokens(await createFile(files.validation), [tokenizer.encode(text, { addSpecialTokens: false })], options);
}

const runtime = await autoRuntime({ use: [autograd(), optim()] });
const data = packedDataset(await openTokens(await openFile(files.train)), block);
const validation = packedDataset(await openTokens(await openFile(files.validation)), block);
const evaluation = { ...validation, length: Math.min(64, validation.length) };
interface Curve {
  readonly name: string;
  readonly parameters: number;
  readonly stateBytes: number;
  /** Two float32 moments a parameter. */
  readonly float32StateBytes: number;
  readonly validationLoss: number;
  readonly points: readonly { readonly tokens: number; readonly loss: number }[];
}

const curves: Curve[] = [];
for (const name of names) {
  const curve = await curveOf(name);
  if (curve === undefined) again();
  else curves.push(curve);
}
const [base] = curves;
const results = {
  ...{
    tokens: steps * batch * block,
    steps,
    block,
    batch,
    lr,
    seed,
    threads: Number(process.env['AO_NUM_THREADS'] ?? 0),
  },
  ...{ machine: machine(), commit: commit() },
  curves: curves.map((c) => ({
    ...c,
    stateTimesSmaller: c.float32StateBytes / c.stateBytes,
    validationLossAboveFirst: c.validationLoss - base!.validationLoss,
    meanLossDifference: meanDifference(c, base!),
  })),
};
await put(join(out, 'pretrain.json'), `${JSON.stringify(results, null, 1)}\n`);
const labelled = curves.map((c) => ({
  label: `${c.name}: ${(c.stateBytes / 1e6).toFixed(1)} MB of state, validation ${c.validationLoss.toFixed(3)}`,
  points: c.points,
}));
const title = `A Llama of ${(base!.parameters / 1e6).toFixed(1)} M parameters from new weights`;
await put(join(out, 'pretrain.svg'), await plotCurves(title, labelled));
for (const { name, validationLoss, stateBytes, stateTimesSmaller, meanLossDifference } of results.curves)
  say(
    `${name.padEnd(10)} validation ${validationLoss.toFixed(4)} nats, state ${stateBytes} bytes (${stateTimesSmaller.toFixed(2)}x smaller than ` +
      `float32), mean |loss - ${base!.name}'s| ${meanLossDifference.toFixed(4)}`,
  );
await runtime.close();

/** One optimizer's curve, to its end; undefined where time ends before. */
async function curveOf(name: keyof typeof CLASSES): Promise<Curve | undefined> {
  const paths = {
    done: join(out!, `${name}.json`),
    state: join(out!, `${name}.safetensors`),
    log: join(out!, `${name}.jsonl`),
  };
  if (existsSync(paths.done)) return JSON.parse(await readFile(paths.done, 'utf8')) as Curve;
  const model = await AutoModelForCausalLM.fromConfig(STORIES, { runtime, seed });
  const params = model.parameters();
  const optimizer = new CLASSES[name](params, { lr, weightDecay: 0.1 }) as Optimizer<object>;
  const scheduler = getScheduler('cosine', optimizer, {
    numWarmupSteps: Math.ceil(steps / 20),
    numTrainingSteps: steps,
  });
  const parts = { parameters: new Map(model.namedParameters()), optimizer };
  const resume = existsSync(paths.state) ? await restored(paths.state, parts) : undefined;
  const pending: { readonly step: number; readonly loss: number }[] = [];
  const result = await train({
    ...{ model, optimizer, scheduler, data, evaluation, batchSize: batch, maxSteps: steps, seed, loggingSteps: 10 },
    ...(resume === undefined ? {} : { resume }),
    saveSteps: 100,
    signal: late.signal,
    onStep: ({ step, loss }) => void pending.push({ step, loss }),
    onLog: (line) => say(`${name} ${JSON.stringify(line)}`),
    save: async (state) => {
      await saveCheckpoint(await createFile(paths.state), parts, state);
      await appendFile(
        paths.log,
        pending
          .splice(0)
          .map((line) => `${JSON.stringify(line)}\n`)
          .join(''),
      );
    },
  });
  const float32StateBytes = params.reduce((n, p) => n + 8 * p.numel, 0);
  const stateBytes = optimizer.stateBytes();
  model.dispose();
  if (result.aborted) return undefined;
  const losses = (await readFile(paths.log, 'utf8'))
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l) as { step: number; loss: number });
  const points = Array.from({ length: Math.floor(losses.length / MEAN_OF) }, (_, i) => {
    const part = losses.slice(i * MEAN_OF, (i + 1) * MEAN_OF);
    return { tokens: part.at(-1)!.step * batch * block, loss: part.reduce((n, l) => n + l.loss, 0) / MEAN_OF };
  });
  const validationLoss = result.evalLoss ?? Number.NaN;
  const curve = { name, parameters: float32StateBytes / 8, stateBytes, float32StateBytes, validationLoss, points };
  await put(paths.done, JSON.stringify(curve));
  return curve;
}

async function restored(path: string, parts: Parameters<typeof loadCheckpoint>[1]): ReturnType<typeof loadCheckpoint> {
  const file = await openFile(path);
  try {
    return await loadCheckpoint(file, parts);
  } finally {
    await file.close();
  }
}

function meanDifference(a: Curve, b: Curve): number {
  const other = new Map(b.points.map((p) => [p.tokens, p.loss]));
  const all = a.points.flatMap((p) => (other.has(p.tokens) ? [Math.abs(p.loss - other.get(p.tokens)!)] : []));
  return all.reduce((n, d) => n + d, 0) / Math.max(1, all.length);
}

async function put(path: string, text: string): Promise<void> {
  await writeFile(`${path}.tmp`, text);
  await rename(`${path}.tmp`, path);
}
