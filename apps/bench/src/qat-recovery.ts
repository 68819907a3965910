// How much of what rounding loses quantization-aware training gives back, on stories-7m: cross entropy (nats a token) of the first 32 windows
// of validation.txt, which nothing is trained on. The training text is sampled from the float model itself.
//   recovery = (rounded - trained and converted) / (rounded - float model trained for the same steps on the same text)
// node --conditions=@ao/source apps/bench/src/qat-recovery.ts [--seeds 3] [--steps N] [--threads N] [--schemes int2,int3,int4,8da4w]
//   [--lr X] [--loss ce|kl] [--limit SECONDS] --out FILE.json
// Results go to FILE after each run; a further start goes on where the last ended.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  createRuntime,
  crossEntropy,
  int32,
  logSoftmax,
  mean,
  mul,
  type Runtime,
  reshape,
  scope,
  softmax,
  sum,
  type Tensor,
  tensor,
} from '@ao/core';
import { autograd, backward, clipGradNorm_, noGrad, requiresGrad_, trainableParameters } from '@ao/core/autograd';
import { AutoModelForCausalLM, AutoTokenizer, evaluate } from '@ao/hf-integration';
import { cpu } from '@ao/kernels-cpu';
import { AdamW } from '@ao/optim';
import { qat } from '@ao/qat';
import {
  type AoConfig,
  int8DynamicActivationIntxWeight,
  intxWeightOnly,
  perGroup,
  quantization,
  quantize_,
} from '@ao/quantization';

const folder = join(dirname(fileURLToPath(import.meta.url)), '../../stories-7m');
const { values: given } = parseArgs({
  options: {
    seeds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '100' },
    threads: { type: 'string', default: '0' },
    schemes: { type: 'string', default: 'int2,int3,int4,8da4w' },
    lr: { type: 'string', default: '4e-4' },
    loss: { type: 'string', default: 'ce' },
    batch: { type: 'string', default: '8' },
    window: { type: 'string', default: '256' },
    limit: { type: 'string', default: '450' },
    out: { type: 'string' },
  },
});
const out = given.out;
if (out === undefined) throw new Error('give --out FILE.json');
const [seeds, steps, batch, window, limit, lr] = [
  given.seeds,
  given.steps,
  given.batch,
  given.window,
  given.limit,
  given.lr,
].map(Number) as [number, number, number, number, number, number];
const WINDOWS = 32;

const intx = (bits: 2 | 3 | 4): AoConfig =>
  intxWeightOnly({ weightDtype: `int${bits}`, granularity: perGroup(32), mappingType: 'ASYMMETRIC' });
const schemes: Readonly<Record<string, AoConfig>> = {
  int2: intx(2),
  int3: intx(3),
  int4: intx(4),
  '8da4w': int8DynamicActivationIntxWeight({ weightDtype: 'int4', weightGranularity: perGroup(32) }),
};
const chosen = given.schemes.split(',').map((name) => {
  if (schemes[name] === undefined) throw new Error(`--schemes: ${name} is none of ${Object.keys(schemes).join(', ')}`);
  return name;
});
/** As reference.json has it: all linears but the head. */
const rules = [['lm_head', null]] as const;

interface Results {
  readonly options: unknown;
  float?: number;
  readonly rounded: Record<string, number>;
  /** `scheme/seed`, 'float/seed'. */
  readonly runs: Record<string, { readonly crossEntropy: number; readonly losses: number[]; readonly seconds: number }>;
  readonly recovery: Record<string, { readonly each: number[]; readonly mean: number }>;
}

const options = { seeds, steps, batch, window, lr, loss: given.loss };
const results: Results = existsSync(out)
  ? (JSON.parse(readFileSync(out, 'utf8')) as Results)
  : { options, rounded: {}, runs: {}, recovery: {} };

function write(path: string, text: string): void {
  writeFileSync(`${path}.tmp`, text);
  renameSync(`${path}.tmp`, path);
}

function save(): void {
  for (const name of chosen) {
    const each = Array.from(
      { length: seeds },
      (_, s) => [results.runs[`${name}/${s}`], results.runs[`float/${s}`]] as const,
    ).flatMap(([run, float]) => {
      const rounded = results.rounded[name];
      if (run === undefined || float === undefined || rounded === undefined) return [];
      return [(rounded - run.crossEntropy) / (rounded - float.crossEntropy)];
    });
    if (each.length > 0) results.recovery[name] = { each, mean: each.reduce((a, b) => a + b, 0) / each.length };
  }
  write(out!, `${JSON.stringify(results, null, 1)}\n`);
}

const rt: Runtime = await createRuntime({
  use: [autograd(), quantization(), qat(), cpu(given.threads === '0' ? {} : { threads: Number(given.threads) })],
});
const start = performance.now();
const seconds = (): number => (performance.now() - start) / 1000;
const tokenizer = await AutoTokenizer.fromPretrained(folder);
const validation = [0, ...tokenizer.encode(readFileSync(join(folder, 'validation.txt'), 'utf8'))];
const load = (trainable: boolean) =>
  AutoModelForCausalLM.fromPretrained(folder, { runtime: rt, dtype: 'float32', trainable });
type Model = Awaited<ReturnType<typeof load>>;
const score = async (model: Model): Promise<number> =>
  (await evaluate(model, validation, { windows: WINDOWS })).crossEntropy;

/** Windows of ids from the float model, temperature 1; kept beside the results. */
async function corpus(seed: number): Promise<number[][]> {
  const path = `${out}.text-${seed}-${steps}x${batch}x${window}.json`;
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as number[][];
  const rows: number[][] = [];
  using model = await load(false);
  const many = 64;
  for (let at = 0; at < steps * batch; at += many) {
    const prompts = Array.from({ length: Math.min(many, steps * batch - at) }, () => [0]);
    const options = {
      doSample: true,
      temperature: 1,
      seed: seed * 1_000_003 + at,
      maxNewTokens: window,
      ignoreEos: true,
    };
    const made = await model.generate(prompts, options);
    rows.push(...made.map((r) => [0, ...r.ids]));
  }
  write(path, JSON.stringify(rows));
  return rows;
}

const ids = (rows: number[][]): Tensor => tensor(rt, rows, { dtype: int32, device: rt.device });

function lossOf(model: Model, rows: number[][], teacher: Model | undefined): Tensor {
  const input = ids(rows.map((r) => r.slice(0, -1)));
  const logits = reshape(model.forward(input), [-1, model.vocabSize]);
  if (teacher === undefined) return crossEntropy(logits, reshape(ids(rows.map((r) => r.slice(1))), [-1]));
  const p = noGrad(() => softmax(reshape(teacher.forward(input), [-1, model.vocabSize])));
  return mul(mean(sum(mul(p, logSoftmax(logits)), 1)), -1);
}

async function train(name: string, seed: number): Promise<void> {
  const began = seconds();
  const rows = await corpus(seed);
  using model = await load(true);
  const teacher = given.loss === 'kl' ? await load(false) : undefined;
  const config = schemes[name];
  if (config !== undefined) await quantize_(model, qat(config, { step: 'prepare' }), { rules, sqnr: false });
  const parameters = trainableParameters(model).map(([, t]) => t);
  const optimizer = new AdamW(parameters, { lr, weightDecay: 0 });
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    optimizer.setLr(lr * Math.min(1, (step + 1) / 10) * (0.5 + 0.5 * Math.cos((Math.PI * step) / steps)));
    const loss = scope(() => {
      const value = lossOf(model, rows.slice(step * batch, (step + 1) * batch), teacher);
      backward(value);
      clipGradNorm_(parameters, 1);
      return value;
    });
    optimizer.step();
    optimizer.zeroGrad();
    losses.push(await loss.item());
    if (step % 10 === 9 || step === steps - 1)
      console.error(
        `${name}/${seed} step ${step + 1} of ${steps}: ${losses.at(-1)!.toFixed(4)}, ${seconds().toFixed(0)} s`,
      );
  }
  teacher?.dispose();
  if (config === undefined) requiresGrad_(model, false);
  else await quantize_(model, qat(config, { step: 'convert' }), { sqnr: false });
  results.runs[`${name}/${seed}`] = { crossEntropy: await score(model), losses, seconds: seconds() - began };
  save();
}

if (results.float === undefined) {
  using model = await load(false);
  results.float = await score(model);
}
for (const name of chosen) {
  if (results.rounded[name] !== undefined) continue;
  using model = await load(false);
  await quantize_(model, schemes[name]!, { rules, sqnr: false });
  results.rounded[name] = await score(model);
  save();
}
console.error(`float ${results.float}, rounded ${JSON.stringify(results.rounded)}, ${seconds().toFixed(0)} s`);
let longest = 0;
for (let seed = 0; seed < seeds; seed++) {
  for (const name of ['float', ...chosen]) {
    if (results.runs[`${name}/${seed}`] !== undefined) continue;
    if (seconds() + longest > limit) break;
    const began = seconds();
    await train(name, seed);
    longest = Math.max(longest, seconds() - began);
  }
}
save();
console.log(
  JSON.stringify({ options, float: results.float, rounded: results.rounded, recovery: results.recovery }, null, 1),
);
await rt.close();
