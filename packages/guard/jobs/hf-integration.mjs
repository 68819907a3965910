// @ao/hf-integration with core and quantization, no kernels installed: the bundled model, quantized while it loads, on the
// reference backend, goes on as torch does.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export async function job({ '@ao/hf-integration': hf, '@ao/quantization': { int8WeightOnly } }, { model: folder }) {
  const { greedy } = JSON.parse(readFileSync(join(folder, 'reference.json'), 'utf8'));
  const tokenizer = await hf.AutoTokenizer.fromPretrained(folder);
  const quantizationConfig = hf.torchAoConfig(int8WeightOnly());
  const model = await hf.AutoModelForCausalLM.fromPretrained(folder, { quantizationConfig, dtype: 'float32' });
  assert.equal(model.rt.device, 'reference');
  const { ids, text } = await model.generate(greedy.prompt, { maxNewTokens: 4, tokenizer });
  assert.deepEqual(ids, greedy.tokens.slice(0, 4));
  assert.equal(text, tokenizer.decode(ids));
  await model.rt.close();
  return text;
}
