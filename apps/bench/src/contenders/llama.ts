// llama.cpp through node-llama-cpp: greedy, no GPU, the prompt in batches of 512, flash attention (its faster setting here).
// prefill = prompt tokens over the time to the first token; decode = the tokens after it over theirs.
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PEERS } from '../peers/where.ts';
import { serve } from '../serve.ts';
import type { TextJob, TextResult, TextSetup } from '../text-engine.ts';

// see peers/llama-build.ts
const { AO_LLAMA_PACKAGE: replaced, AO_LLAMA_FOLDER: folder } = process.env;
if (replaced !== undefined && folder !== undefined) {
  const url = pathToFileURL(join(folder, 'dist', 'index.js')).href;
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === replaced ? { url, shortCircuit: true } : next(specifier, context),
  });
}

interface Sequence {
  clearHistory(): Promise<void>;
  evaluate(ids: readonly number[], options: Readonly<Record<string, unknown>>): AsyncGenerator<number>;
}

await serve<TextSetup, TextJob, TextResult>(async ({ model: modelPath, threads, contextSize, sequences = 1 }) => {
  const { getLlama, LlamaLogLevel } = await import(pathToFileURL(PEERS.llama).href);
  const llama = await getLlama({ gpu: false, maxThreads: threads, build: 'never', logLevel: LlamaLogLevel.error });
  const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
  const context = await model.createContext({
    contextSize,
    sequences,
    batchSize: 512,
    threads: { ideal: threads, min: threads },
    flashAttention: true,
  });
  const all: Sequence[] = Array.from({ length: sequences }, () => context.getSequence());
  const sequence = all[0]!;
  const evaluation = { temperature: 0, yieldEogToken: true };
  let tokens: AsyncGenerator<number> | undefined;

  /** Reads a prompt up to its first new token. */
  async function open(ids: readonly number[]): Promise<number> {
    await tokens?.return(undefined);
    await sequence.clearHistory();
    tokens = sequence.evaluate(ids, evaluation);
    return ids.length / (await timed(tokens, 1));
  }
  async function more(count: number): Promise<number> {
    if (tokens === undefined) throw new Error('more before open');
    return count / (await timed(tokens, count));
  }
  /** The texts take their steps together, so that each step is one batch. */
  async function batch(prompts: readonly (readonly number[])[], write: number): Promise<number> {
    await Promise.all(all.map((s) => s.clearHistory()));
    const texts = prompts.map((ids, i) => all[i]!.evaluate(ids, evaluation));
    await Promise.all(texts.map((text) => timed(text, 1)));
    const start = performance.now();
    for (let n = 0; n < write; n++) await Promise.all(texts.map((text) => timed(text, 1)));
    const seconds = (performance.now() - start) / 1000;
    await Promise.all(texts.map((text) => text.return(undefined)));
    return (write * prompts.length) / seconds;
  }

  async function run(job: TextJob): Promise<TextResult> {
    if ('read' in job) return { prefill: await open(job.read), decode: await more(job.write) };
    if ('open' in job) return { prefill: await open(job.open) };
    if ('more' in job) return { decode: await more(job.more) };
    if ('batch' in job) return { decode: await batch(job.batch, job.write) };
    throw new Error('a job that is not for llama.cpp');
  }

  const { release } = llama.llamaCppRelease;
  return { info: { engine: `llama.cpp ${release}`, threads: context.currentThreads, system: llama.systemInfo }, run };
});

/** Seconds until so many tokens have come. */
async function timed(tokens: AsyncGenerator<number>, count: number): Promise<number> {
  const start = performance.now();
  for (let n = 0; n < count; n++) if ((await tokens.next()).done) throw new Error('the text ended early');
  return (performance.now() - start) / 1000;
}
