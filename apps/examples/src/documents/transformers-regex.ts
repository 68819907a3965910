// Different configs with regular expressions: exact names first, then the first pattern that matches in full, then _default.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, AutoTokenizer, autoRuntime, torchAoConfig } from '@ao/hf-integration';
import { fqnToConfig, int4WeightOnly, int8WeightOnly, intxWeightOnly, perAxis } from '@ao/quantization';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const int4 = int4WeightOnly({ groupSize: 32 });
const int8 = int8WeightOnly();
const quantType = fqnToConfig({
  'model.layers.3.self_attn.q_proj': int4,
  'model.layers.3.self_attn.k_proj': int4,
  're:model\\.layers\\..+\\.self_attn\\.q_proj': int8,
  're:model\\.layers\\..+\\.self_attn\\.k_proj': int8,
  // matches nothing in full (the j is missing): a warning says so, and _default is taken
  're:model\\.layers\\..+\\.self_attn\\.o_pro': int8,
  _default: intxWeightOnly({ weightDtype: 'int8', granularity: perAxis(0) }),
});

const warnings: string[] = [];
const runtime = await autoRuntime({ log: ({ message }) => warnings.push(message) });
const model = await AutoModelForCausalLM.fromPretrained(folder, {
  runtime,
  dtype: 'bfloat16',
  quantizationConfig: torchAoConfig(quantType),
});
console.log(warnings.join('\n'));
if (!warnings.some((w) => w.includes('o_pro'))) throw new Error('a rule that matches nothing should be told');

const kinds = new Map([...model.namedParameters()].map(([name, t]) => [name, t.kind?.name]));
for (let i = 0; i < 8; i++) {
  const kind = (module: string) => kinds.get(`model.layers.${i}.self_attn.${module}.weight`);
  if (kind('q_proj') !== (i === 3 ? 'int4' : 'int8')) throw new Error(`layer ${i}: q_proj is ${kind('q_proj')}`);
  if (kind('o_proj') !== 'intx') throw new Error(`layer ${i}: o_proj is ${kind('o_proj')}`);
}

// saved and loaded again, it says the same
const tokenizer = await AutoTokenizer.fromPretrained(folder);
const options = { tokenizer, maxNewTokens: 32, temperature: 0 };
const { text } = await model.generate('One day, a little rabbit', options);
const scratch = await mkdtemp(join(tmpdir(), 'ao-example-'));
await model.savePretrained(scratch);
const reloaded = await AutoModelForCausalLM.fromPretrained(scratch, { runtime, dtype: 'bfloat16' });
const again = await reloaded.generate('One day, a little rabbit', options);
console.log(text);
if (again.text !== text) throw new Error('a saved model should say the same');
await rm(scratch, { recursive: true });
await runtime.close();
