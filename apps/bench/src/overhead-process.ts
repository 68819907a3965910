// Processor time of JavaScript's thread, in a process of its own: one JSON object on stdout, { row id: microseconds or, for
// idle-cpu, milliseconds }. The stream's thread and the pool are not in it, but for idle-cpu, which counts the process.
//   node --conditions=@ao/source overhead-process.ts REPEATS THREADS [MODEL FOLDER]
import { setTimeout as wait } from 'node:timers/promises';
import { add, createRuntime, linear, mul, type Runtime, reshape, scope, silu, tensor, transpose } from '@ao/core';
import { AutoConfig, AutoModelForCausalLM, AutoTokenizer, rulesConfig, torchAoConfig } from '@ao/hf-integration';
import { cpu } from '@ao/kernels-cpu';
import { parseRule, parseScheme, quantization } from '@ao/quantization';

const [repeats, threads, folder] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]];
const OPS = 100_000;
/** Ops between two waits: far from the 4,096 commands at which enqueueing blocks. */
const BURST = 500;
const TOKENS = 256;
const REPLAYS = 20_000;

const runs: Record<string, number[]> = {};
const put = (id: string, value: number): void => {
  runs[id] = [...(runs[id] ?? []), value];
};

/** Microseconds that the calling thread computed while `work` ran. */
async function threadTime(work: () => Promise<unknown>): Promise<number> {
  const before = process.threadCpuUsage();
  await work();
  const { user, system } = process.threadCpuUsage(before);
  return user + system;
}

async function ops(rt: Runtime): Promise<void> {
  const values = (...shape: number[]) => tensor(rt, new Float32Array(shape.reduce((a, b) => a * b)), { shape });
  const [a, b, x, w] = [values(16), values(16), values(1, 64), values(64, 64)];
  const cases: Record<string, () => unknown> = {
    'js-op-add': () => add(a, b),
    'js-op-mul-number': () => mul(a, 2),
    'js-op-silu': () => silu(a),
    'js-op-linear': () => linear(x, w),
    'js-op-reshape': () => reshape(w, [4096]),
    'js-op-transpose': () => transpose(w, 0, 1),
  };
  const backend = rt.backend('cpu');
  for (let round = 0; round <= repeats; round++) {
    for (const [id, op] of Object.entries(cases)) {
      const burst = async (): Promise<void> => {
        scope(() => {
          for (let i = 0; i < BURST; i++) op();
        });
        await backend.sync();
      };
      const time = await threadTime(async () => {
        for (let done = 0; done < OPS; done += BURST) await burst();
      });
      if (round > 0) put(id, time / OPS);
    }
  }
  if (backend.memory().blocked > 0) throw new Error('enqueueing waited for the stream: the bursts are too long');
}

/** A plan of one small kernel, replayed and its result awaited: what of a token is not the cold caches behind a large model. */
async function replays(rt: Runtime): Promise<void> {
  const x = tensor(rt, new Float32Array(16));
  const plan = rt.capture(() => {
    mul(x, 2);
  });
  for (let round = 0; round <= repeats; round++) {
    const time = await threadTime(async () => {
      for (let i = 0; i < REPLAYS; i++) {
        plan.replay();
        await x.data();
      }
    });
    if (round > 0) put('js-replay', time / REPLAYS);
  }
  plan.dispose();
}

async function tokens(rt: Runtime, model: string): Promise<void> {
  const { outline } = await AutoConfig.fromPretrained(model);
  const rules = [parseRule('lm_head=int8wo:int8-group', parseScheme)];
  const { config } = rulesConfig(rules, parseScheme('int4wo-32:int8-group'), outline);
  const tokenizer = await AutoTokenizer.fromPretrained(model);
  const quantizationConfig = torchAoConfig(config);
  const loaded = await AutoModelForCausalLM.fromPretrained(model, {
    runtime: rt,
    dtype: 'float32',
    quantizationConfig,
  });
  const prompt = tokenizer.encode('Once upon a time');
  for (let round = 0; round <= repeats; round++) {
    for (const [id, text] of [
      ['js-token', {}],
      ['js-token-text', { tokenizer }],
    ] as const) {
      const options = { ...text, maxNewTokens: TOKENS + 2, temperature: 0, ignoreEos: true };
      const pieces = loaded.generate(prompt, options)[Symbol.asyncIterator]();
      // the prompt and the capture of the step are behind the second token
      await pieces.next();
      await pieces.next();
      const time = await threadTime(async () => {
        for (let i = 0; i < TOKENS; i++) await pieces.next();
      });
      while (!(await pieces.next()).done);
      if (round > 0) put(id, time / TOKENS);
    }
  }
  loaded.dispose();
}

async function idle(): Promise<void> {
  for (let round = 0; round < repeats; round++) {
    const before = process.cpuUsage();
    await wait(2000);
    const { user, system } = process.cpuUsage(before);
    put('idle-cpu', (user + system) / 1000);
  }
}

const rt = await createRuntime({ use: [cpu({ threads }), quantization()] });
await ops(rt);
await replays(rt);
if (folder !== undefined) await tokens(rt, folder);
// the collector ends its work first
await wait(1000);
await idle();
await rt.close();
process.stdout.write(`${JSON.stringify(runs)}\n`);
