// Keys and values: a static cache behind one captured step, a dynamic one, and one kept in 16 bits.
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
const narrow = await model.generate(prompt, { ...options, kvCache: 'bf16' });
console.log(fixed.text);
if (fixed.text !== eager.text) throw new Error('a captured step should give what eager steps give');

// half the bytes of float32 for keys and values
const bytes = (dtype?: typeof model.dtype) => {
  const cache = model.createCache(512, 1, dtype);
  const all = [...cache.keys, ...cache.values].reduce((n, t) => n + t.numel * t.dtype.itemsize, 0);
  cache.dispose();
  return all;
};
const { bfloat16 } = await import('@ao/core');
console.log(`512 positions: ${bytes()} bytes, ${bytes(bfloat16)} in bfloat16; ${narrow.ids.length} tokens with it`);
if (2 * bytes(bfloat16) !== bytes()) throw new Error('bfloat16 should halve the cache');
model.dispose();
await model.rt.close();
