// Loads a model, quantizes it to 4 bits on the way, and streams a story.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, AutoTokenizer, torchAoConfig } from '@ao/hf-integration';
import { int4WeightOnly } from '@ao/quantization';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const tokenizer = await AutoTokenizer.fromPretrained(folder);
const model = await AutoModelForCausalLM.fromPretrained(folder, {
  quantizationConfig: torchAoConfig(int4WeightOnly({ groupSize: 32 })),
});

const story = model.generate('<|end|>One day, a little rabbit', {
  tokenizer,
  maxNewTokens: 60,
  temperature: 0.7,
  seed: 1,
});
for await (const { text } of story) process.stdout.write(text);

const { ids, decodeTokensPerSecond } = await story;
console.log(`\n\n${ids.length} tokens, ${decodeTokensPerSecond.toFixed(0)} a second on ${model.device}`);
model.dispose();
await model.rt.close();
