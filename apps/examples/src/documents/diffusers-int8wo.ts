// diffusers' form: a short name, modules that stay by a part of their name, an older dtype option, and a model saved quantized.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, autoRuntime, torchAoConfig } from '@ao/hf-integration';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const runtime = await autoRuntime();
const scratch = await mkdtemp(join(tmpdir(), 'ao-example-'));
const model = await AutoModelForCausalLM.fromPretrained(folder, {
  runtime,
  torchDtype: 'bfloat16',
  quantizationConfig: torchAoConfig('int8wo', { modulesToNotConvert: ['model.layers.0', 'down_proj'] }),
});
const plain = [...model.namedParameters()].flatMap(([name, t]) => (t.kind === null ? [name] : []));
const left = plain.filter((name) => name.includes('_proj'));
console.log(`${left.length} projections stay as they are`);
if (left.length !== 7 + 7) throw new Error('the first layer and every down_proj should stay');

await model.savePretrained(scratch);
const again = await AutoModelForCausalLM.fromPretrained(scratch, { runtime });
console.log('loaded again:', again.origin?.quantization?.modulesToNotConvert);
if (!again.isQuantized) throw new Error('what was saved quantized should load quantized');
await rm(scratch, { recursive: true });
await runtime.close();
