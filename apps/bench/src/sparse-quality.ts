// Perplexity at 2:4: magnitude, Wanda and SparseGPT, each before and after sparse fine-tuning (AdamW, one window of 512 tokens a step, the
// zeros stay). All linears but the head. The first windows of validation.txt are evaluated; windows of its second half calibrate and
// train. Prints a table and keeps what was measured in FILE, where a further start goes on.
//   node --conditions=@ao/source apps/bench/src/sparse-quality.ts --out FILE.json [MODEL] [--methods magnitude,wanda,sparsegpt]
//     [--steps 200] [--lr 1e-4] [--evaluated 48] [--calibrated 32]
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  cast,
  copy_,
  createRuntime,
  crossEntropy,
  int32,
  keep,
  Linear,
  type Module,
  mul,
  ne,
  prepare,
  reshape,
  scope,
  type Tensor,
  tensor,
} from '@ao/core';
import { autograd, backward, clipGradNorm_, noGrad, trainableParameters } from '@ao/core/autograd';
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  type CausalLM,
  calibrateModel,
  evaluate,
  windowsOf,
} from '@ao/hf-integration';
import { cpu } from '@ao/kernels-cpu';
import { AdamW } from '@ao/optim';
import { quantization } from '@ao/quantization';
import { applyFakeSparsity, PruneOptimizer, prunedWeight, sparseGpt, sparsity, wanda } from '@ao/sparsity';

const at = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: 'string' },
    methods: { type: 'string', default: 'magnitude,wanda,sparsegpt' },
    steps: { type: 'string', default: '200' },
    lr: { type: 'string', default: '1e-4' },
    evaluated: { type: 'string', default: '48' },
    calibrated: { type: 'string', default: '32' },
  },
});
const { out } = given;
if (out === undefined) throw new Error('give --out FILE.json');
const folder = positionals[0] ?? at('apps/stories-7m');
const [steps, lr, evaluated, calibrated] = [given.steps, given.lr, given.evaluated, given.calibrated].map(Number) as [
  number,
  number,
  number,
  number,
];
const WINDOW = 512;

const linears = (m: Module, name: string): boolean => m instanceof Linear && name !== 'lm_head';
const options = { window: WINDOW, sqnr: false, filterFn: linears };
const methods: Readonly<Record<string, (model: CausalLM) => Promise<unknown>>> = {
  magnitude: async (model) => applyFakeSparsity(model, { filterFn: linears }),
  wanda: (model) => calibrateModel(model, windows, wanda({ config: prunedWeight() }), options),
  sparsegpt: (model) => calibrateModel(model, windows, sparseGpt({ config: prunedWeight() }), options),
};

const runtime = await createRuntime({ use: [autograd(), quantization(), sparsity(), cpu()] });
const tokenizer = await AutoTokenizer.fromPretrained(folder);
const ids = tokenizer.encode(readFileSync(at('apps/stories-7m/validation.txt'), 'utf8'), { addSpecialTokens: false });
const held = ids.slice(0, evaluated * WINDOW + 1);
const rest = ids.slice(Math.max(held.length, Math.floor(ids.length / 2)));
const windows = windowsOf(rest, WINDOW, calibrated);
const load = (trainable = false): Promise<CausalLM> =>
  AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'float32', trainable });

interface Results {
  dense?: number;
  readonly pruned: Record<string, number>;
  readonly tuned: Record<string, number>;
  readonly losses: Record<string, number[]>;
}
const results: Results = existsSync(out)
  ? (JSON.parse(readFileSync(out, 'utf8')) as Results)
  : { pruned: {}, tuned: {}, losses: {} };
function save(): void {
  writeFileSync(`${out}.tmp`, `${JSON.stringify(results, null, 1)}\n`);
  renameSync(`${out}.tmp`, out as string);
}

async function perplexity(model: CausalLM): Promise<number> {
  await prepare(model);
  return (await evaluate(model, held, { window: WINDOW })).perplexity;
}

/** The pruned weights, by name. */
async function valuesOf(model: CausalLM): Promise<Map<string, Float32Array>> {
  const found = new Map<string, Float32Array>();
  for (const [name, m] of model.namedModules())
    if (linears(m, name)) found.set(`${name}.weight`, Float32Array.from(await (m as Linear).weight.data()));
  return found;
}

async function tuned(name: string, pruned: ReadonlyMap<string, Float32Array>): Promise<number> {
  using model = await load(true);
  const groups = [];
  for (const [fqn, p] of model.namedParameters()) {
    const values = pruned.get(fqn);
    if (values === undefined) continue;
    const w = tensor(runtime, values, { shape: p.shape, device: p.device });
    noGrad(() => copy_(p, w));
    const mask = keep(scope(() => cast(ne(w, 0), p.dtype)));
    w.dispose();
    groups.push({ params: [p], prox: { apply: (t: Tensor) => mul(t, mask) } });
  }
  const parameters = trainableParameters(model).map(([, t]) => t);
  const adam = new AdamW(parameters, { lr, weightDecay: 0 });
  const optimizer = new PruneOptimizer(adam, groups);
  const texts = windowsOf(rest, WINDOW);
  results.losses[name] = [];
  for (let step = 0; step < steps; step++) {
    adam.setLr(lr * Math.min(1, (step + 1) / 10) * (0.5 + 0.5 * Math.cos((Math.PI * step) / steps)));
    const row = texts[step % texts.length] as readonly number[];
    const of = (from: number, to: number) =>
      tensor(runtime, Int32Array.from(row.slice(from, to)), { shape: [1, to - from], dtype: int32 });
    const loss = scope(() => {
      const logits = model.forward(of(0, row.length - 1));
      const value = crossEntropy(reshape(logits, [-1, model.vocabSize]), reshape(of(1, row.length), [-1]));
      backward(value);
      clipGradNorm_(parameters, 1);
      return value;
    });
    optimizer.step(lr);
    adam.zeroGrad();
    results.losses[name].push(await loss.item());
    loss.dispose();
    if (step % 20 === 19)
      process.stderr.write(`${name}, step ${step + 1}: ${results.losses[name].at(-1)?.toFixed(4)}\n`);
  }
  for (const p of parameters) p.requiresGrad = false;
  const zeros = await valuesOf(model);
  for (const [fqn, values] of zeros)
    if (values.some((v, i) => v !== 0 && pruned.get(fqn)?.[i] === 0)) throw new Error(`${fqn} lost its zeros`);
  return await perplexity(model);
}

if (results.dense === undefined) {
  using model = await load();
  results.dense = await perplexity(model);
  save();
}
for (const name of given.methods.split(',')) {
  const method = methods[name];
  if (method === undefined) throw new Error(`--methods: ${name} is none of ${Object.keys(methods).join(', ')}`);
  if (results.pruned[name] !== undefined && (steps === 0 || results.tuned[name] !== undefined)) continue;
  const model = await load();
  await method(model);
  const pruned = await valuesOf(model);
  results.pruned[name] = await perplexity(model);
  model.dispose();
  save();
  if (steps > 0) results.tuned[name] = await tuned(name, pruned);
  save();
}
const lines = [
  '| 2:4 by | perplexity | after fine-tuning |',
  '| --- | --- | --- |',
  `| dense | ${results.dense.toFixed(3)} | |`,
];
for (const [name, value] of Object.entries(results.pruned))
  lines.push(`| ${name} | ${value.toFixed(3)} | ${results.tuned[name]?.toFixed(3) ?? ''} |`);
process.stdout.write(`${lines.join('\n')}\n`);
await runtime.close();
