// autoquant: a prompt shows the shapes, candidates race on this machine, each layer gets the fastest that keeps its signal to noise; the plan
// gives another copy the same.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, AutoTokenizer, autoRuntime } from '@ao/hf-integration';
import {
  applyAutoquantPlan,
  autoquant,
  finalizeAutoquant,
  int4WeightOnly,
  int8DynamicActivationInt8Weight,
  modelBytes,
} from '@ao/quantization';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const runtime = await autoRuntime();
const tokenizer = await AutoTokenizer.fromPretrained(folder);
const load = () => AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'bfloat16' });

const model = await load();
autoquant(model, { minSqnr: 18, candidates: [int8DynamicActivationInt8Weight(), int4WeightOnly()] }); // without candidates: all that there are
await model.generate('Once upon a time', { tokenizer, maxNewTokens: 8 });
const plan = await finalizeAutoquant(model);
console.log(JSON.stringify(plan, null, 1).slice(0, 400));

const copy = await load();
await applyAutoquantPlan(copy, plan);
console.log(`${(modelBytes(copy) / 1e6).toFixed(1)} MB`);
if (modelBytes(copy) !== modelBytes(model)) throw new Error('a plan should give the same bytes again');
await runtime.close();
