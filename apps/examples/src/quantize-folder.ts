// Quantizes a folder to another, disk to disk, with a scheme of its own for some modules, and measures what it cost.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  AutoConfig,
  AutoModelForCausalLM,
  AutoTokenizer,
  autoRuntime,
  evaluate,
  quantizeCheckpoint,
  rulesConfig,
  torchAoConfig,
} from '@ao/hf-integration';
import { formatReport, int4WeightOnly, int8WeightOnly } from '@ao/quantization';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const scratch = await mkdtemp(join(tmpdir(), 'ao-example-'));
const runtime = await autoRuntime();

// the first rule that matches decides; null leaves a module as it is
const { outline } = await AutoConfig.fromPretrained(folder);
const { config } = rulesConfig(
  [
    ['model.layers.0.*', null],
    ['re:.*down_proj', int8WeightOnly()],
    ['lm_head', int8WeightOnly()],
  ],
  int4WeightOnly({ groupSize: 32 }),
  outline,
);
const report = await quantizeCheckpoint(folder, join(scratch, 'int4'), {
  quantizationConfig: torchAoConfig(config),
  runtime,
});
console.log(formatReport(report));

const tokenizer = await AutoTokenizer.fromPretrained(folder);
const text = await readFile(join(folder, 'validation.txt'), 'utf8');
const ids = [0, ...tokenizer.encode(text.slice(0, 5000))];
for (const path of [folder, join(scratch, 'int4')]) {
  const model = await AutoModelForCausalLM.fromPretrained(path, { runtime });
  const { perplexity } = await evaluate(model, ids, { window: 128, windows: 2 });
  console.log(`perplexity ${perplexity.toFixed(3)}`);
  model.dispose();
}
await runtime.close();
await rm(scratch, { recursive: true });
