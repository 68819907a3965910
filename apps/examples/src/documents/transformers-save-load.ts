// Save a quantized model and load it again, on any device: files hold plain codes, packing is the device's own affair.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, AutoTokenizer, torchAoConfig } from '@ao/hf-integration';
import { int4WeightOnly, int8WeightOnly } from '@ao/quantization';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const tokenizer = await AutoTokenizer.fromPretrained(folder);
const scratch = await mkdtemp(join(tmpdir(), 'ao-example-'));
const prompt = 'One day, a little rabbit';

for (const config of [int8WeightOnly({ groupSize: 128 }), int4WeightOnly({ groupSize: 128 })]) {
  const model = await AutoModelForCausalLM.fromPretrained(folder, {
    dtype: 'auto',
    deviceMap: 'auto',
    quantizationConfig: torchAoConfig(config),
  });
  const saved = join(scratch, config.type);
  await model.savePretrained(saved);
  const before = await model.generate(prompt, { tokenizer, maxNewTokens: 10, temperature: 0 });

  // config.json says what it is quantized with; 'reference' is another device, without any packing
  for (const deviceMap of ['auto', 'reference']) {
    const reloaded = await AutoModelForCausalLM.fromPretrained(saved, { deviceMap, dtype: 'bfloat16' });
    const { text } = await reloaded.generate(prompt, { tokenizer, maxNewTokens: 10, temperature: 0 });
    console.log(`${config.type} on ${reloaded.device}: ${text}`);
    if (deviceMap === 'auto' && text !== before.text) throw new Error('a saved model should say the same');
    reloaded.dispose();
    await reloaded.rt.close();
  }
  model.dispose();
  await model.rt.close();
}
await rm(scratch, { recursive: true });
