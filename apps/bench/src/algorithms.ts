// Perplexity of calibration algorithms against rounding to nearest on the bundled model, as a table in ALGORITHMS.md of
// @ao/quantization. The first half of validation.txt is evaluated; windows of the second half are what algorithms see.
//   node --conditions=@ao/source apps/bench/src/algorithms.ts [MODEL] [--only NAME,..] [--print]
// Rows that --only leaves out keep what they say.
import { readFile, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { arange, exp, int32, logSoftmax, mul, scope, sub, sum, type Tensor, tensor } from '@ao/core';
import { autograd } from '@ao/core/autograd';
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  autoRuntime,
  type CausalLM,
  calibrateModel,
  type Evaluation,
  evaluate,
  windowsOf,
} from '@ao/hf-integration';
import {
  type AoConfig,
  autoRound,
  awq,
  baseAlgorithm,
  type CalibrationAlgorithm,
  gptq,
  parseScheme,
  rotate,
  smoothQuant,
  withHqq,
} from '@ao/quantization';

const at = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const DOC = at('packages/quantization/ALGORITHMS.md');
const [START, END] = ['<!-- table: apps/bench/src/algorithms.ts -->', '<!-- /table -->'];
const WINDOW = 512;
const [EVALUATED, CALIBRATED] = [48, 32];

interface Row {
  readonly name: string;
  readonly scheme: string;
  /** undefined: nothing is quantized. */
  algorithm?(config: AoConfig): CalibrationAlgorithm;
  /** Beats this row of the same scheme, else it is marked MISSED. */
  readonly against?: string;
}

const algorithms: Readonly<Record<string, (config: AoConfig) => CalibrationAlgorithm>> = {
  'round to nearest': (config) => baseAlgorithm(config),
  HQQ: (config) => baseAlgorithm(withHqq(config)),
  AWQ: (config) => awq(config),
  GPTQ: (config) => gptq(config),
  'GPTQ, act-order': (config) => gptq(config, { actOrder: true }),
  'GPTQ, sequential': (config) => gptq(config, { sequential: true }),
  'rotation (R1, R2)': (config) => rotate(config),
  'rotation (R1, R2, R4)': (config) => rotate(config, { r4: true }),
  AutoRound: (config) => autoRound(config),
  'AWQ, then GPTQ': (config) => awq(gptq(config)),
  'rotation, then GPTQ': (config) => rotate(gptq(config)),
};

function rows(): Row[] {
  const all = (scheme: string): Row[] =>
    Object.entries(algorithms).map(([name, algorithm]) => ({
      name,
      scheme,
      algorithm,
      ...(name !== 'round to nearest' && { against: 'round to nearest' }),
    }));
  const smooth = ['round to nearest', 'SmoothQuant'].map((name) => ({
    name,
    scheme: 'int8dq',
    algorithm: (config: AoConfig) => (name === 'SmoothQuant' ? smoothQuant(config) : baseAlgorithm(config)),
    ...(name === 'SmoothQuant' && { against: 'round to nearest' }),
  }));
  return [{ name: 'float32', scheme: '-' }, ...all('int4wo-128'), ...all('intx3-64'), ...smooth];
}

interface Measured extends Evaluation {
  readonly seconds: number;
  readonly divergence: number;
}

async function measure(folder: string, row: Row): Promise<Measured> {
  const tokenizer = await AutoTokenizer.fromPretrained(folder);
  const text = await readFile(at('apps/stories-7m/validation.txt'), 'utf8');
  const ids = tokenizer.encode(text, { addSpecialTokens: false });
  const held = ids.slice(0, EVALUATED * WINDOW + 1);
  const windows = windowsOf(ids.slice(Math.max(held.length, Math.floor(ids.length / 2))), WINDOW, CALIBRATED);
  const runtime = await autoRuntime({ use: [autograd()] });
  const load = (): Promise<CausalLM> => AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'float32' });
  try {
    const [exact, model] = [await load(), await load()];
    const start = performance.now();
    const algorithm = row.algorithm?.(parseScheme(row.scheme));
    if (algorithm) await calibrateModel(model, windows, algorithm, { window: WINDOW, sqnr: false });
    const seconds = (performance.now() - start) / 1000;
    const divergence = await divergenceOf(exact, model, windowsOf(held, WINDOW));
    return { ...(await evaluate(model, held, { window: WINDOW })), seconds, divergence };
  } finally {
    await runtime.close();
  }
}

/** Mean over positions of sum p (log p - log q), in nats. */
async function divergenceOf(p: CausalLM, q: CausalLM, windows: readonly (readonly number[])[]): Promise<number> {
  const caches = [p.createCache(WINDOW), q.createCache(WINDOW)] as const;
  let total = 0;
  for (const ids of windows) {
    const sums = scope(() => {
      const x = tensor(p.rt, Int32Array.from(ids), { shape: [1, ids.length], dtype: int32 });
      const positions = arange(p.rt, 0, ids.length);
      const [a, b] = [p, q].map((m, i) => logSoftmax(m.forward(x, { cache: caches[i]!, positions }))) as [
        Tensor,
        Tensor,
      ];
      return sum(mul(exp(a), sub(a, b)), -1);
    });
    for (const v of await sums.data()) total += Number(v);
    sums.dispose();
  }
  return total / (windows.length * WINDOW);
}

async function table(folder: string, only: readonly string[] | undefined, earlier: string): Promise<string> {
  const written = earlier.split('\n').map((line) => ({ line, cells: line.split('|').map((cell) => cell.trim()) }));
  const lines = [
    '| scheme | algorithm | perplexity | cross entropy | KL from float | seconds | perplexity against nearest |',
    '| --- | --- | --- | --- | --- | --- | --- |',
  ];
  const found = new Map<string, number>();
  for (const row of rows()) {
    if (only && !only.some((name) => `${row.scheme} ${row.name}`.includes(name))) {
      const kept = written.find(({ cells }) => cells[1] === row.scheme && cells[2] === row.name);
      if (kept === undefined) continue;
      lines.push(kept.line);
      found.set(`${row.scheme} ${row.name}`, Number(kept.cells[4]));
      continue;
    }
    const { crossEntropy, perplexity, seconds, divergence } = await measure(folder, row);
    found.set(`${row.scheme} ${row.name}`, crossEntropy);
    const nearest = found.get(`${row.scheme} ${row.against}`);
    const verdict = nearest === undefined ? '' : crossEntropy < nearest ? 'better' : 'MISSED';
    const numbers = [perplexity.toFixed(3), crossEntropy.toFixed(4), divergence.toFixed(5), seconds.toFixed(1)];
    lines.push(`| ${[row.scheme, row.name, ...numbers, verdict].join(' | ')} |`);
    process.stderr.write(`${lines.at(-1)}\n`);
  }
  return lines.join('\n');
}

const { values, positionals } = parseArgs({
  options: { only: { type: 'string' }, print: { type: 'boolean' } },
  allowPositionals: true,
});
const [before, rest] = (await readFile(DOC, 'utf8')).split(START);
const [earlier, after] = rest?.split(END) ?? [];
if (before === undefined || earlier === undefined || after === undefined)
  throw new Error(`${DOC} lacks ${START} .. ${END}`);
const made = await table(positionals[0] ?? at('apps/stories-7m'), values.only?.split(','), earlier);
if (values.print) process.stdout.write(`${made}\n`);
else {
  await writeFile(`${DOC}.tmp`, `${before}${START}\n\n${made}\n\n${END}${after}`);
  await rename(`${DOC}.tmp`, DOC);
}
