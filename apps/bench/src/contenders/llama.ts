// llama.cpp through node-llama-cpp: greedy, no GPU, the prompt in one batch.
// prefill = prompt tokens over the time to the first token; decode = the tokens after it over theirs.
import { pathToFileURL } from 'node:url';
import { type Engine, type Setup, type Speed, serve } from '../contender.ts';
import { PEERS } from '../peers.ts';

interface Sequence {
  clearHistory(): Promise<void>;
  evaluate(ids: readonly number[], options: Readonly<Record<string, unknown>>): AsyncGenerator<number>;
}

await serve(async ({ model: modelPath, threads, contextSize }: Setup): Promise<Engine> => {
  const { getLlama, LlamaLogLevel } = await import(pathToFileURL(PEERS.llama).href);
  const llama = await getLlama({ gpu: false, maxThreads: threads, build: 'never', logLevel: LlamaLogLevel.error });
  const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
  const context = await model.createContext({
    contextSize,
    batchSize: 512,
    threads: { ideal: threads, min: threads },
    flashAttention: true,
  });
  const sequence: Sequence = context.getSequence();
  const run = async ({ promptIds, newTokens }: { promptIds: readonly number[]; newTokens: number }): Promise<Speed> => {
    await sequence.clearHistory();
    const start = performance.now();
    const tokens = sequence.evaluate(promptIds, { temperature: 0, yieldEogToken: true });
    await tokens.next();
    const first = performance.now();
    for (let n = 0; n < newTokens; n++) if ((await tokens.next()).done) throw new Error('the text ended early');
    const end = performance.now();
    await tokens.return(undefined);
    return {
      prefillTokensPerSecond: (promptIds.length / (first - start)) * 1000,
      decodeTokensPerSecond: (newTokens / (end - first)) * 1000,
    };
  };
  return { info: { engine: 'node-llama-cpp', threads: context.currentThreads }, run };
});
