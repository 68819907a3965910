// node --conditions=@ao/source apps/bench/compat/peft.ts [--steps N] [--dtype float32] [SCHEME...]: QLoRA of SmolLM2 here and with torch and
// PEFT, from the same adapter over the same base values (a quantized base is given to torch dequantized), on the same batches of
// style.json: losses step by step, speed, peak memory, and the greedy tokens of the trained adapter in both. Writes peft.md and peft.json
// beside this file. Needs `pnpm bench peers torchao models`, and peft in that venv (pip install peft).
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AutoTokenizer, convertCheckpoint, quantizeCheckpoint } from '@ao/hf-integration';
import { absent, PEERS } from '../src/peers/where.ts';
import type { PeftRequest } from './peft-train.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: 'string', default: '24' },
    batch: { type: 'string', default: '4' },
    tokens: { type: 'string', default: '128' },
    dtype: { type: 'string', default: 'float32' },
    threads: { type: 'string', default: '2' },
  },
});
const why = absent('torchao') ?? absent('models');
if (why !== undefined) throw new Error(why);
const here = import.meta.dirname;
const work = mkdtempSync(join(tmpdir(), 'ao-peft-'));
const [steps, batch, length] = [values.steps, values.batch, values.tokens].map(Number) as [number, number, number];

interface Ours {
  readonly losses: readonly number[];
  readonly seconds: readonly number[];
  readonly peak: number;
  readonly tokens: readonly (readonly number[])[];
}

const json = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8')) as T;
const median = (x: readonly number[]): number => [...x].sort((a, b) => a - b)[Math.floor(x.length / 2)]!;

function run(command: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${stderr.slice(-3000)}`);
}

/** Blocks of length + 1 ids of all conversations, one after the other, again and again. */
async function batches(): Promise<number[][][]> {
  const tokenizer = await AutoTokenizer.fromPretrained(PEERS.smollm2);
  const rows = json<{ instruction: string; answer: string }[]>(join(here, 'style.json'));
  const ids = rows.flatMap(({ instruction, answer }) =>
    tokenizer.encode(`<|im_start|>user\n${instruction}<|im_end|>\n<|im_start|>assistant\n${answer}<|im_end|>\n`, {
      addSpecialTokens: false,
    }),
  );
  let at = 0;
  const next = (): number => ids[at++ % ids.length]!;
  return Array.from({ length: steps }, () =>
    Array.from({ length: batch }, () => Array.from({ length: length + 1 }, next)),
  );
}

const data = await batches();
const tokenizer = await AutoTokenizer.fromPretrained(PEERS.smollm2);
const prompts = ['What is a river?', 'How do I fix a bicycle?', 'Who was Einstein?'].map((q) =>
  tokenizer.encode(`<|im_start|>user\n${q}<|im_end|>\n<|im_start|>assistant\n`, { addSpecialTokens: false }),
);

interface Row {
  readonly scheme: string;
  readonly dtype: string;
  readonly worstLoss: number;
  readonly losses: readonly [readonly number[], readonly number[]];
  readonly tokensPerSecond: readonly [number, number];
  readonly peak: readonly [number, number];
  readonly equalTokens: readonly string[];
}

async function one(scheme: string): Promise<Row> {
  const at = (name: string): string => join(work, scheme, name);
  for (const d of ['before', 'after']) mkdirSync(at(d), { recursive: true });
  const base = at('base'); // what is rounded has one dtype on both sides
  await convertCheckpoint(PEERS.smollm2, base, { dtype: values.dtype });
  let dense = base;
  if (scheme !== 'none') {
    await quantizeCheckpoint(base, at('quantized'), { quantizationConfig: scheme });
    await convertCheckpoint(at('quantized'), at('dense'), { dequantize: true, dtype: 'float32' });
    dense = at('dense');
  }
  const request: PeftRequest = {
    folder: base,
    scheme,
    dtype: values.dtype,
    threads: Number(values.threads),
    r: 8,
    alpha: 16,
    targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
    lr: 5e-4,
    weightDecay: 0.01,
    batches: data,
    prompts,
    length: 32,
    before: at('before'),
    after: at('after'),
  };
  writeFileSync(at('request.json'), JSON.stringify(request));
  run(process.execPath, ['--conditions=@ao/source', join(here, 'peft-train.ts'), at('request.json'), at('ours.json')]);
  const ours = json<Ours>(at('ours.json'));
  const python = (mode: string, more: object): void => {
    const { dtype, threads, lr, weightDecay: weight_decay, length: count } = request;
    writeFileSync(at('ask.json'), JSON.stringify({ dtype, threads, lr, weight_decay, length: count, ...more }));
    run(PEERS.python, [join(here, 'peer-lora.py'), mode, dense, at('ask.json'), at('theirs.json')]);
  };
  python('train', { adapter: at('before'), batches: data });
  const theirs = json<Ours>(at('theirs.json'));
  python('generate', { adapter: at('after'), prompts });
  const generated = json<Ours>(at('theirs.json'));
  const perStep = batch * length;
  return {
    scheme,
    dtype: values.dtype,
    worstLoss: Math.max(...ours.losses.map((l, i) => Math.abs(l / theirs.losses[i]! - 1))),
    losses: [ours.losses, theirs.losses],
    tokensPerSecond: [perStep / median(ours.seconds.slice(2)), perStep / median(theirs.seconds.slice(2))],
    peak: [ours.peak, theirs.peak],
    // the two answers end by themselves, or at `length`
    equalTokens: ours.tokens.map((t, i) => {
      const end = t.findIndex((id, j) => id !== generated.tokens[i]![j]);
      return `${end < 0 ? t.length : end} of ${generated.tokens[i]!.length}`;
    }),
  };
}

const rows: Row[] = [];
try {
  for (const scheme of positionals.length > 0 ? positionals : ['nf4_weight_only', 'int4wo-32']) {
    rows.push(await one(scheme));
    const { losses: _, ...row } = rows.at(-1)!;
    console.log(JSON.stringify(row));
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
writeFileSync(join(here, 'peft.json'), `${JSON.stringify(rows, null, 1)}\n`);
const mb = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
const table = rows.map(
  (r) =>
    `| ${r.scheme} | ${r.dtype} | ${r.losses[0][0]!.toFixed(4)} -> ${r.losses[0].at(-1)!.toFixed(4)} | ${(100 * r.worstLoss).toFixed(3)} % | ` +
    `${r.tokensPerSecond.map((x) => x.toFixed(0)).join(' / ')} | ${r.peak.map(mb).join(' / ')} | ${r.equalTokens.join(', ')} |`,
);
writeFileSync(
  join(here, 'peft.md'),
  `# LoRA of SmolLM2-135M here and with torch and PEFT\n\n${steps} steps of ${batch} x ${length} tokens, rank 8 on all linears, AdamW 5e-4, ${values.threads} threads; ` +
    `torch has the base's dequantized values.\n\n` +
    "| base | compute | loss here | largest difference to PEFT's loss | tokens/s here / there | peak memory here / there | greedy tokens equal in PEFT |\n" +
    `| --- | --- | --- | --- | --- | --- | --- |\n${table.join('\n')}\n`,
);
