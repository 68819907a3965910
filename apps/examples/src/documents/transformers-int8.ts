// Quantize on load: int8 weights with dynamic int8 activations, or int8 weights alone.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, AutoTokenizer, torchAoConfig } from '@ao/hf-integration';
import { int8DynamicActivationInt8Weight, int8WeightOnly } from '@ao/quantization';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const tokenizer = await AutoTokenizer.fromPretrained(folder);

for (const config of [int8DynamicActivationInt8Weight(), int8WeightOnly()]) {
  const model = await AutoModelForCausalLM.fromPretrained(folder, {
    dtype: 'auto',
    deviceMap: 'auto',
    quantizationConfig: torchAoConfig(config),
  });
  // 'static' is the default: one preallocated cache, one captured step, nothing to compile
  const { text } = await model.generate('One day, a little rabbit', {
    tokenizer,
    maxNewTokens: 10,
    cacheImplementation: 'static',
  });
  console.log(`${config.type}: ${text}`);
  if (!model.isQuantized || text === '') throw new Error('a quantized model should answer');
  model.dispose();
  await model.rt.close();
}
