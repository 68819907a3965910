// Quantize on load: float8 weights, alone or with float8 activations whose scale each row of them gets when it comes.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, AutoTokenizer, torchAoConfig } from '@ao/hf-integration';
import { float8DynamicActivationFloat8Weight, float8WeightOnly, modelBytes, perRow } from '@ao/quantization';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const tokenizer = await AutoTokenizer.fromPretrained(folder);
const configs = [float8WeightOnly(), float8DynamicActivationFloat8Weight({ granularity: perRow() })];

for (const config of configs) {
  const model = await AutoModelForCausalLM.fromPretrained(folder, {
    dtype: 'bfloat16',
    quantizationConfig: torchAoConfig(config),
  });
  const { text } = await model.generate('One day, a little rabbit', { tokenizer, maxNewTokens: 10 });
  const bytes = modelBytes(model);
  console.log(`${config.type}: ${(bytes / 1e6).toFixed(1)} MB, ${text}`);
  if (bytes > 10e6) throw new Error('14.7 MB of bfloat16 should become less than 10 MB');
  model.dispose();
  await model.rt.close();
}
