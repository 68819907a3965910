// torchao's README, quantization-aware training by the names it first had: prepare, train, take out again, quantize; and what it gives back.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { autograd, trainableParameters } from '@ao/core/autograd';
import { AutoModelForCausalLM, AutoTokenizer, autoRuntime } from '@ao/hf-integration';
import { AdamW, optim } from '@ao/optim';
import {
  FakeQuantizeConfig,
  FromIntXQuantizationAwareTrainingConfig,
  IntXQuantizationAwareTrainingConfig,
  qat,
} from '@ao/qat';
import { int8DynamicActivationInt4Weight, quantize_ } from '@ao/quantization';
import { evaluateLoss, exampleDataset, train } from '@ao/train';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const runtime = await autoRuntime({ use: [autograd(), optim(), qat()] });
const tokenizer = await AutoTokenizer.fromPretrained(folder);
const load = (trainable: boolean) =>
  AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'float32', trainable });
const head = { rules: [['lm_head', null]] } as const;

const text =
  'One day, Tom found a red ball. He gave the ball to his friend Sue. Sue was happy, and they played until the sun went down.';
const ids = tokenizer.encode(text);
const data = exampleDataset([{ ids, loss: ids.map(() => true) }], ids.length, tokenizer.eosTokenId ?? 0);

const rounded = await load(false);
await quantize_(rounded, int8DynamicActivationInt4Weight({ groupSize: 32 }), head);
const { loss: before } = await evaluateLoss(rounded, data);

// prepare: int8 dynamic per-token asymmetric activations, int4 grouped symmetric weights
const model = await load(true);
const activationConfig = FakeQuantizeConfig({ dtype: 'int8', granularity: 'per_token', isSymmetric: false });
const weightConfig = FakeQuantizeConfig({ dtype: 'int4', groupSize: 32 });
await quantize_(model, IntXQuantizationAwareTrainingConfig(activationConfig, weightConfig), head);

const params = trainableParameters(model).map(([, p]) => p);
const optimizer = new AdamW(params, { lr: 1e-4 });
await train({ model, optimizer, data, maxSteps: 8, batchSize: 1, onLog: ({ step, loss }) => console.log(step, loss) });

// convert: plain linears again, then quantized as any model is
await quantize_(model, FromIntXQuantizationAwareTrainingConfig(), head);
await quantize_(model, int8DynamicActivationInt4Weight({ groupSize: 32 }), head);
const { loss: after } = await evaluateLoss(model, data);
console.log(`rounded at once: ${before.toFixed(3)} nats a token, trained for it: ${after.toFixed(3)}`);
if (!(after < before)) throw new Error('training should have helped');
await runtime.close();
