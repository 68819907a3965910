// Quantize on load on the CPU: int4 weights in groups, with tinygemm's parameters or HQQ's.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, AutoTokenizer, torchAoConfig } from '@ao/hf-integration';
import { int4WeightOnly, modelBytes, prototypeInt4WeightOnly } from '@ao/quantization';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const tokenizer = await AutoTokenizer.fromPretrained(folder);
const configs = [
  prototypeInt4WeightOnly({ groupSize: 128, int4ChooseQparamsAlgorithm: 'TINYGEMM' }),
  int4WeightOnly({ groupSize: 128, useHqq: true }),
];

for (const config of configs) {
  const model = await AutoModelForCausalLM.fromPretrained(folder, {
    dtype: 'auto',
    deviceMap: 'auto',
    quantizationConfig: torchAoConfig(config),
  });
  const { text } = await model.generate('One day, a little rabbit', { tokenizer, maxNewTokens: 10 });
  const bytes = modelBytes(model);
  console.log(`${config.type}: ${(bytes / 1e6).toFixed(1)} MB, ${text}`);
  if (bytes > 6e6) throw new Error('14.7 MB of bfloat16 should become less than 6 MB');
  model.dispose();
  await model.rt.close();
}
