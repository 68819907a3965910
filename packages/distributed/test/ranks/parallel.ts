// Tensor parallel decoders of every kind beside whole ones: logits, greedy tokens, and training.
import { int32, prepare, scope, type Tensor, tensor } from '@ao/core';
import { noGrad } from '@ao/core/autograd';
import type { CausalLM } from '@ao/hf-integration';
import { AdamW, optim } from '@ao/optim';
import {
  float8DynamicActivationFloat8Weight,
  float8WeightOnly,
  int4WeightOnly,
  int8DynamicActivationInt8Weight,
  int8WeightOnly,
  nf4WeightOnly,
  quantization,
  quantize_,
} from '@ao/quantization';
import { decoderPlan, type ParallelPlan, parallelize } from '../../src/index.ts';
import { rank, tell } from './runtime.ts';
import { losses, parameters, tiny } from './tiny.ts';

const { rt, group } = await rank([optim(), quantization()]);
const result: Record<string, unknown> = { rank: group.rank };
const plan: ParallelPlan = { ...decoderPlan, lm_head: 'colwise_rep' };
const shape = { tie_word_embeddings: false, hidden_size: 128, vocab_size: 98, initializer_range: 0.1 };
const prompt = [1, 17, 40, 3, 77, 25];

const configs = {
  float32: undefined,
  int8: int8WeightOnly(),
  int4: int4WeightOnly({ groupSize: 32 }),
  float8: float8WeightOnly(),
  'int8 dynamic': int8DynamicActivationInt8Weight(),
  'float8 dynamic': float8DynamicActivationFloat8Weight(),
};

async function made(config: unknown, more: object = {}): Promise<CausalLM> {
  const model = await tiny(rt, 'float32', { ...shape, ...more });
  for (const p of model.parameters()) p.requiresGrad = false;
  if (config !== undefined) await quantize_(model, [['re:.*_proj', config]] as never);
  return model;
}

async function seen(model: CausalLM): Promise<{ logits: number[]; tokens: readonly number[] }> {
  const ids: Tensor = tensor(rt, prompt, { shape: [1, prompt.length], dtype: int32 });
  const logits = noGrad(() => scope(() => model.call(ids) as Tensor));
  const { ids: tokens } = await model.generate(prompt, { maxNewTokens: 8, doSample: false });
  return { logits: [...((await logits.data()) as Float32Array)], tokens };
}

for (const [name, config] of Object.entries(configs)) {
  const whole = await made(config);
  const one = await seen(whole);
  const parts = await made(config);
  const cut = parallelize(parts, plan, group);
  await prepare(parts);
  const many = await seen(parts);
  const power = (v: readonly number[]): number => v.reduce((s, x) => s + x * x, 0);
  const error = power(one.logits.map((v, i) => v - many.logits[i]!));
  result[name] = {
    cut: cut.length,
    decibel: 10 * Math.log10(power(one.logits) / error),
    tokens: [one.tokens, many.tokens],
    bits: many.logits,
  };
  for (const m of [whole, parts]) m.dispose();
}

const error = async (config: unknown, some: ParallelPlan, more: object = {}): Promise<string> => {
  const m = await made(config, more);
  try {
    parallelize(m, some, group);
    return 'nothing';
  } catch (e) {
    return String(e);
  }
};
result['nf4 rowwise'] = await error(nf4WeightOnly(), decoderPlan);
result['groups cut'] = await error(int4WeightOnly({ groupSize: 64 }), decoderPlan, { intermediate_size: 192 });
result['no module'] = await error(undefined, { 'model.layers.*.attn': 'colwise' });

const trained = async (parallel: boolean): Promise<number[]> => {
  const m = await tiny(rt, 'float32', shape);
  if (parallel) parallelize(m, plan, group);
  return losses(m, new AdamW(parameters(m), { lr: 3e-3 }), undefined, {
    steps: 10,
    norm: parallel ? group : undefined,
  });
};
result['trained one'] = await trained(false);
result['trained parallel'] = await trained(true);
tell(result);
await group.destroy();
await rt.close();
