// Different configs without regular expressions: the embedding in int8, a head of its own and all linears in int4.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, AutoTokenizer, torchAoConfig } from '@ao/hf-integration';
import { fqnToConfig, int8DynamicActivationIntxWeight, intxWeightOnly, perAxis, perGroup } from '@ao/quantization';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const embedding = intxWeightOnly({ weightDtype: 'int8', granularity: perAxis(0), mappingType: 'ASYMMETRIC' });
const linear = int8DynamicActivationIntxWeight({ weightDtype: 'int4', weightGranularity: perGroup(128) });

// the model ties its head to the embedding: untied, each can have a scheme of its own
const model = await AutoModelForCausalLM.fromPretrained(folder, {
  deviceMap: 'auto',
  dtype: 'bfloat16',
  quantizationConfig: torchAoConfig(fqnToConfig({ _default: linear, 'model.embed_tokens': embedding }), {
    includeInputOutputEmbeddings: true,
    untieEmbeddingWeights: true,
  }),
});
const parameters = new Map(model.namedParameters());
const shown = ['model.embed_tokens.weight', 'lm_head.weight', 'model.layers.0.mlp.up_proj.weight'];
for (const name of shown) {
  const weight = parameters.get(name);
  console.log(name, weight?.kind?.name, weight?.shape.join(' x '));
  if (!weight || weight.kind === null) throw new Error(`${name} should be quantized`);
}

const tokenizer = await AutoTokenizer.fromPretrained(folder);
const { text } = await model.generate('Hey, can you talk to me?', { tokenizer, maxNewTokens: 32 });
console.log(text);
model.dispose();
await model.rt.close();
