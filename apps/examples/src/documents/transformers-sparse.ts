// int4 weights and 2:4 sparsity: two of each four weights kept and quantized, as Marlin's sparse layout means it; saved and loaded again.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, AutoTokenizer, autoRuntime, torchAoConfig } from '@ao/hf-integration';
import { modelBytes } from '@ao/quantization';
import { int4WeightOnlySemiSparseWeight, sparsity } from '@ao/sparsity';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const runtime = await autoRuntime({ use: [sparsity()] });
const tokenizer = await AutoTokenizer.fromPretrained(folder);
const load = (options: object) =>
  AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'bfloat16', ...options });
const dense = await load({});
const model = await load({ quantizationConfig: torchAoConfig(int4WeightOnlySemiSparseWeight({ groupSize: 32 })) });
const [before, after] = [dense, model].map((m) => modelBytes(m) / 1e6) as [number, number];
console.log(`${before.toFixed(1)} MB to ${after.toFixed(1)} MB`);
if (after > before / 2) throw new Error('five sixths of the projections should be gone');

const prompt = 'Once upon a time';
const options = { tokenizer, maxNewTokens: 16, temperature: 0 };
const { text } = await model.generate(prompt, options);
const scratch = await mkdtemp(join(tmpdir(), 'ao-example-'));
await model.savePretrained(scratch);
const again = await AutoModelForCausalLM.fromPretrained(scratch, { runtime });
console.log(text);
if ((await again.generate(prompt, options)).text !== text) throw new Error('what was saved should tell the same story');
await rm(scratch, { recursive: true });
await runtime.close();
