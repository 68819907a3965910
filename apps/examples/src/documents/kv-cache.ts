// Keys and values: a static cache behind one captured step, a dynamic one, and ones kept in 16, 8 and 4 bits.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, AutoTokenizer } from '@ao/hf-integration';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const tokenizer = await AutoTokenizer.fromPretrained(folder);
const model = await AutoModelForCausalLM.fromPretrained(folder, { dtype: 'float32', quantizationConfig: 'int8wo' });
const options = { tokenizer, maxNewTokens: 48, temperature: 0 };
const prompt = 'Once upon a time, there was a little fox';

const fixed = await model.generate(prompt, { ...options, cacheImplementation: 'static' });
const eager = await model.generate(prompt, { ...options, cacheImplementation: 'dynamic' });
console.log(fixed.text);
if (fixed.text !== eager.text) throw new Error('a captured step should give what eager steps give');

// bytes of keys and values, and where the text first differs from the one with float32
const bytes = (format: 'auto' | 'bf16' | 'int8' | 'int4') => {
  const cache = model.createCache(512, 1, format);
  const all = [...cache.keys, ...cache.values].reduce((n, t) => n + t.numel * t.dtype.itemsize, 0);
  cache.dispose();
  return all;
};
for (const kvCache of ['bf16', 'int8', 'int4'] as const) {
  const { ids } = await model.generate(prompt, { ...options, kvCache });
  const same = ids.findIndex((id, i) => id !== fixed.ids[i]);
  console.log(
    `${kvCache}: ${bytes(kvCache)} bytes of ${bytes('auto')}, ${same < 0 ? ids.length : same} tokens the same`,
  );
}
if (2 * bytes('bf16') !== bytes('auto')) throw new Error('bfloat16 should halve the cache');
model.dispose();
await model.rt.close();
