// torchao's README, float8 training: a recipe for a model's linears; its loss beside that of bfloat16 on the same text.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bfloat16 } from '@ao/core';
import { autograd, trainableParameters } from '@ao/core/autograd';
import { convertToFloat8Training, float8Training } from '@ao/float8';
import { AutoModelForCausalLM, AutoTokenizer, autoRuntime } from '@ao/hf-integration';
import { AdamW, optim } from '@ao/optim';
import { exampleDataset, train } from '@ao/train';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const runtime = await autoRuntime({ use: [autograd(), optim(), float8Training()] });
const tokenizer = await AutoTokenizer.fromPretrained(folder);
const ids = tokenizer.encode(
  'One day, Tom found a red ball. He gave the ball to his friend Sue, and they played until the sun went down.',
);
const data = exampleDataset([{ ids, loss: ids.map(() => true) }], ids.length, tokenizer.eosTokenId ?? 0);

async function lastLoss(recipe?: 'tensorwise' | 'rowwise'): Promise<number> {
  const model = await AutoModelForCausalLM.fromConfig(folder, { runtime, seed: 1 });
  const moduleFilterFn = (_: unknown, fqn: string) => !fqn.includes('lm_head');
  if (recipe !== undefined) convertToFloat8Training(model, { recipe, moduleFilterFn, config: { padInnerDim: true } });
  const optimizer = new AdamW(
    trainableParameters(model).map(([, p]) => p),
    { lr: 2e-3 },
  );
  let last = Number.NaN;
  await train({
    ...{ model, optimizer, data, maxSteps: 6, batchSize: 1, autocast: bfloat16 },
    onStep: ({ loss }) => {
      last = loss;
    },
  });
  model.dispose();
  return last;
}

const [plain, float8] = [await lastLoss(), await lastLoss('rowwise')];
console.log(`bfloat16 ${plain.toFixed(3)}, float8 ${float8.toFixed(3)} nats a token after 6 steps`);
if (!(Math.abs(plain - float8) < 0.1)) throw new Error('float8 should train as bfloat16 does');
await runtime.close();
