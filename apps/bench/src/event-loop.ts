// How long the event loop waits while a model generates: node --conditions=@ao/source apps/bench/src/event-loop.ts [FOLDER]
// Prints p50, p99 and the largest delay in ms, over prefill and decoding, beside those of an idle process.
import { existsSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { AutoModelForCausalLM, autoRuntime, torchAoConfig } from '@ao/hf-integration';
import { parseScheme } from '@ao/quantization';
import { PEERS } from './peers.ts';
import { load } from './statistics.ts';

const folder = process.argv[2] ?? PEERS.smollm2;
if (!existsSync(folder)) {
  process.stderr.write(`not there: ${folder}\n`);
  process.exit(1);
}

async function delays(work: () => Promise<unknown>): Promise<Readonly<Record<string, number>>> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  await work();
  histogram.disable();
  const ms = (ns: number): number => Math.round(ns / 1e4) / 100;
  return { p50: ms(histogram.percentile(50)), p99: ms(histogram.percentile(99)), max: ms(histogram.max) };
}

const runtime = await autoRuntime();
const model = await AutoModelForCausalLM.fromPretrained(folder, {
  runtime,
  dtype: 'float32',
  quantizationConfig: torchAoConfig(parseScheme('int4wo-32')),
});
const prompt = Array.from({ length: 512 }, (_, i) => 1000 + i);
const options = { temperature: 0, ignoreEos: true };
const idle = await delays(() => new Promise((resolve) => setTimeout(resolve, 1000)));
const generating = await delays(async () => await model.generate(prompt, { ...options, maxNewTokens: 128 }));
process.stdout.write(`${JSON.stringify({ idle, generating, load: load() })}\n`);
model.dispose();
await runtime.close();
