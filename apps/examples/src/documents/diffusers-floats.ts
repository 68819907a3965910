// diffusers' names of small floats and unsigned integers: what each leaves of the weights' bytes.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, autoRuntime, torchAoConfig } from '@ao/hf-integration';
import { modelBytes } from '@ao/quantization';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const runtime = await autoRuntime();
const sizes: number[] = [];
for (const name of [undefined, 'float8wo_e4m3', 'fp6_e3m2', 'fp5_e2m2', 'uint4wo', 'uint2wo']) {
  const quantized = name === undefined ? {} : { quantizationConfig: torchAoConfig(name) };
  const model = await AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'bfloat16', ...quantized });
  sizes.push(modelBytes(model));
  console.log(`${name ?? 'bfloat16'}: ${(modelBytes(model) / 1e6).toFixed(1)} MB`);
  model.dispose();
}
const [plain = 0, ...quantized] = sizes;
if (quantized.some((bytes) => bytes > 0.6 * plain)) throw new Error('each should save four tenths');
await runtime.close();
