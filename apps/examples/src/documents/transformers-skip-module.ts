// Per module: one config for all linears, and null for those that stay as they are.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, AutoTokenizer, torchAoConfig } from '@ao/hf-integration';
import { fqnToConfig, int4WeightOnly } from '@ao/quantization';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const config = int4WeightOnly({ groupSize: 128 });
const quantType = fqnToConfig({ _default: config, 'model.layers.0.self_attn.q_proj': null });
const model = await AutoModelForCausalLM.fromPretrained(folder, {
  deviceMap: 'auto',
  dtype: 'bfloat16',
  quantizationConfig: torchAoConfig(quantType),
});

// the head and model.layers.0.self_attn.q_proj are not quantized
const plain = [...model.namedParameters()].filter(([name, t]) => name.includes('_proj') && t.kind === null);
console.log('left as they are:', plain.map(([name]) => name).join(', '));
if (plain.length !== 1) throw new Error('one projection should stay as it is');

const tokenizer = await AutoTokenizer.fromPretrained(folder);
const { text } = await model.generate('Hey, can you talk to me?', { tokenizer, maxNewTokens: 32 });
console.log(text);
model.dispose();
await model.rt.close();
