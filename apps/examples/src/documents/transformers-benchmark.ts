// Benchmark: a quantized model against the same one in bfloat16, on the same prompt.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, autoRuntime, type CausalLM } from '@ao/hf-integration';
import { modelBytes } from '@ao/quantization';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const runtime = await autoRuntime();
const prompt = Array.from({ length: 32 }, (_, i) => i + 1);
const maxNewTokens = 100;

/** Tokens a second, the best of three runs after one to warm up. */
async function benchmark(model: CausalLM): Promise<number> {
  const run = () => model.generate(prompt, { maxNewTokens, temperature: 0, ignoreEos: true });
  await run();
  const rates: number[] = [];
  for (let i = 0; i < 3; i++) rates.push((await run()).decodeTokensPerSecond);
  return Math.max(...rates);
}

const int4 = await AutoModelForCausalLM.fromPretrained(folder, { runtime, quantizationConfig: 'int4wo-128' });
const bf16 = await AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'bfloat16' });
for (const [name, model] of [
  ['int4wo-128', int4],
  ['bfloat16', bf16],
] as const) {
  const rate = await benchmark(model);
  console.log(`${name} model: ${rate.toFixed(0)} tokens/s, ${(modelBytes(model) / 1e6).toFixed(1)} MB`);
  if (!(rate > 0)) throw new Error(`${name} gave no tokens`);
}
if (modelBytes(int4) > 0.5 * modelBytes(bf16)) throw new Error('int4 should be less than half as large');
await runtime.close();
