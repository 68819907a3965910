// Step 'convert': fake quantization out of the model again, and the rules by which quantize_ goes on.
import {
  cast,
  type Dense,
  dtypeRange,
  Embedding,
  getModule,
  int8,
  Linear,
  type Module,
  quantizeAffine,
  replaceModule,
  type Tensor,
  zeros,
} from '@ao/core';
import { noGrad } from '@ao/core/autograd';
import {
  type AoConfig,
  intxKind,
  isProblem,
  planTensor,
  type Rule,
  type TensorPlan,
  type TensorProblem,
  type WeightInfo,
} from '@ao/quantization';
import { configError, type IntxFakeQuantizeConfig } from './config/fake-quantize.ts';
import type { QATConfig } from './config/qat.ts';
import { wholeZero } from './fake-quantize/learned.ts';
import { type FakeQuantizedTensor, fakeQuantizedKind, learnedConfig } from './fake-quantized-tensor.ts';
import { FakeQuantizedEmbedding, FakeQuantizedLinear } from './modules.ts';

/** The base config of a weight whose ranges were learned. */
export interface LearnedConfig extends AoConfig {
  readonly type: 'LearnedQATConfig';
  readonly base: AoConfig;
  /** Not in JSON, as tensors have none. */
  readonly learned: {
    readonly config: IntxFakeQuantizeConfig;
    readonly scale: Tensor;
    readonly zero: Tensor | undefined;
  };
}

function learnedRule(base: AoConfig, t: FakeQuantizedTensor, config: IntxFakeQuantizeConfig): LearnedConfig {
  const out = {
    type: 'LearnedQATConfig',
    base,
    toJSON: () => ({ base, name: t.weight.shape }),
  } as unknown as LearnedConfig;
  Object.defineProperty(out, 'learned', { value: { config, scale: t.scale!, zero: t.zero_point } });
  return out;
}

/** An intx tensor with the learned scales and zero points, as the fake-quantized weight was read. */
export function learnedPlan({ base, learned }: LearnedConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const { config, scale, zero } = learned;
  const plan = planTensor(scale.rt, base, info);
  if (isProblem(plan)) return plan;
  return {
    ...plan,
    quantize: (weight: Dense) =>
      noGrad(() => {
        const plain = plan.quantize(weight);
        if (!intxKind.is(plain))
          throw configError(`${base.type} has no learned scales`, 'use intxWeightOnly or 8daNw as the base config');
        const range = dtypeRange('qat', config.dtype);
        const s = cast(scale, plain.scale.dtype);
        const z =
          zero === undefined
            ? zeros(s.rt, s.shape, { dtype: int8, device: s.device })
            : cast(wholeZero(zero, range), int8);
        const qdata = quantizeAffine(weight, plain.attrs.blockSize, s, z, 'int8', range);
        const attrs = { ...plain.attrs, targetDtype: config.dtype as 'int4', symmetric: zero === undefined };
        return intxKind.make({ qdata, scale: s, zero_point: z }, attrs, weight.shape, weight.dtype);
      }),
  };
}

const plainModule = (m: FakeQuantizedLinear | FakeQuantizedEmbedding): Module =>
  m instanceof FakeQuantizedLinear ? new Linear(m.weight, m.bias) : new Embedding(m.weight);

const parent = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf('.')));

function places(model: Module): Map<FakeQuantizedTensor, string[]> {
  const found = new Map<FakeQuantizedTensor, string[]>();
  for (const [name, t] of model.namedParameters({ all: true })) {
    if (fakeQuantizedKind.is(t)) found.set(t, [...(found.get(t) ?? []), name]);
  }
  return found;
}

/** Takes fake quantization out, and returns what quantize_ does then. Throws ERR_AO_CONFIG where the model has none. */
export function restore(
  model: Module,
  { baseConfig, step }: QATConfig,
  takes: (fqn: string) => boolean,
): Rule[] | undefined {
  if (step !== 'convert') return undefined;
  const all = places(model);
  if (all.size === 0)
    throw configError(
      'nothing in this model is fake-quantized',
      "run quantize_ with step: 'prepare' and train before 'convert'",
    );
  const rules: Rule[] = [];
  for (const [t, names] of all) {
    if (!names.some((name) => takes(parent(name)))) continue;
    for (const name of names) {
      const holder = getModule(model, parent(name));
      (holder as unknown as Record<string, unknown>)[name.slice(name.lastIndexOf('.') + 1)] = t.weight;
      if (holder instanceof FakeQuantizedLinear || holder instanceof FakeQuantizedEmbedding) {
        replaceModule(model, parent(name), plainModule(holder));
      }
      const learned = learnedConfig(t.attrs);
      if (baseConfig !== null) rules.push([name, learned === null ? baseConfig : learnedRule(baseConfig, t, learned)]);
    }
  }
  return rules;
}
