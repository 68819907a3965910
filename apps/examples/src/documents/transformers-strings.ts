// Schemes by name, with the options of their config, and a name that is no scheme of a weight as an error that says so.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, autoRuntime, torchAoConfig } from '@ao/hf-integration';
import { modelBytes } from '@ao/quantization';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const runtime = await autoRuntime();
const configs = [
  torchAoConfig('int4_weight_only', { groupSize: 128 }),
  torchAoConfig('int8_weight_only'),
  torchAoConfig('int8_dynamic_activation_int8_weight'),
  torchAoConfig('int8_dynamic_activation_int4_weight', { groupSize: 32 }),
  torchAoConfig('float8_weight_only'),
  torchAoConfig('uint4wo', { groupSize: 64 }),
  torchAoConfig('int4wo-32', { modulesToNotConvert: ['model.layers.0'] }),
];
for (const quantizationConfig of configs) {
  const model = await AutoModelForCausalLM.fromPretrained(folder, { runtime, torchDtype: 'auto', quantizationConfig });
  console.log(`${quantizationConfig.quantType.type}: ${(modelBytes(model) / 1e6).toFixed(1)} MB`);
  if (!model.isQuantized) throw new Error('the model should be quantized');
  model.dispose();
}

try {
  torchAoConfig('autoquant');
  throw new Error('autoquant is a scheme now: show it here');
} catch (error) {
  if ((error as { code?: string }).code !== 'ERR_AO_CONFIG') throw error;
  console.log((error as Error).message);
}
await runtime.close();
