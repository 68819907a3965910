// Forward and backward of four layers of Llama 8B (4096, 14336, 32 heads over 8) at 8,192 tokens in four texts of 2,048, as one plan: the loss
// is the mean of the normed hidden states. bfloat16, and float8 by each recipe (AO_PEER_RECIPES limits which); and what attention takes of it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ao from '@ao/core';
import { autograd, backward, grad, normal_, trainableParameters, zeroGrad } from '@ao/core/autograd';
import { convertToFloat8Training, type Float8LinearRecipeName, float8Training } from '@ao/float8';
import { AutoModelForCausalLM, type CausalLM } from '@ao/hf-integration';
import { type Part, type Say, timePlan } from '../part.ts';

const LAYERS = 4;
const [BATCH, LENGTH] = [4, 2048];
const TOKENS = BATCH * LENGTH;
const VOCABULARY = 256;
const [HEADS, KV_HEADS, HEAD_DIM] = [32, 8, 128];
const RECIPES: readonly (Float8LinearRecipeName | undefined)[] = [
  undefined,
  'tensorwise',
  'rowwise',
  'rowwise_with_gw_hp',
];

const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: LAYERS,
  num_attention_heads: HEADS,
  num_key_value_heads: KV_HEADS,
  vocab_size: VOCABULARY,
  max_position_embeddings: LENGTH,
  rms_norm_eps: 1e-5,
  rope_theta: 500000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
};

async function model(rt: ao.Runtime): Promise<CausalLM> {
  const folder = mkdtempSync(join(tmpdir(), 'ao-bench-'));
  try {
    writeFileSync(join(folder, 'config.json'), JSON.stringify(CONFIG));
    return await AutoModelForCausalLM.fromConfig(folder, { runtime: rt, dtype: 'bfloat16' });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function step(rt: ao.Runtime, recipe: Float8LinearRecipeName | undefined): Promise<number> {
  const m = await model(rt);
  if (recipe !== undefined)
    convertToFloat8Training(m, { recipe, moduleFilterFn: (_, fqn) => !fqn.includes('lm_head') });
  const params = trainableParameters(m).map(([, p]) => p);
  const values = Int32Array.from({ length: TOKENS }, (_, i) => (i * 7919) % VOCABULARY);
  const ids = ao.tensor(rt, values, { shape: [BATCH, LENGTH], dtype: ao.int32 });
  m.prepareFor(LENGTH);
  const us = await timePlan(rt, [
    () => {
      const loss = ao.mean(m.hidden(ids));
      backward(loss);
      zeroGrad(params);
      return ao.noGrad(() => ao.clone(loss));
    },
  ]);
  ids.dispose();
  m.dispose();
  return us;
}

/** Forward and backward of one layer's attention, in microseconds. */
async function attention(rt: ao.Runtime): Promise<number> {
  const state = ao.tensor(rt, [1, 0], { dtype: ao.int32 });
  const values = (shape: readonly number[]): ao.Dense => {
    const t = normal_(ao.empty(rt, shape, { dtype: ao.bfloat16 }), 0, 1, state) as ao.Dense;
    t.requiresGrad = true;
    return t;
  };
  const [q, k, v] = [HEADS, KV_HEADS, KV_HEADS].map((heads) => values([BATCH, LENGTH, heads, HEAD_DIM])) as [
    ao.Dense,
    ao.Dense,
    ao.Dense,
  ];
  const turned = (t: ao.Tensor): ao.Tensor => ao.transpose(t, 1, 2);
  const us = await timePlan(rt, [
    () => {
      const y = ao.attention(q, turned(k), turned(v), undefined, undefined, { causal: true });
      return grad(ao.mean(y), [q, k, v])[0]!;
    },
  ]);
  for (const t of [q, k, v, state]) t.dispose();
  return us;
}

async function run(rt: ao.Runtime, say: Say): Promise<void> {
  say({
    name: 'attention of four layers, forward and backward',
    unit: 'ms',
    value: (LAYERS * (await attention(rt))) / 1e3,
  });
  const named = process.env['AO_PEER_RECIPES']?.split(' ');
  for (const recipe of RECIPES) {
    if (named && !named.includes(recipe ?? 'bfloat16')) continue;
    const us = await step(rt, recipe);
    const name = `training ${recipe ?? 'bfloat16'}`;
    say({ name, unit: 'ms', value: us / 1e3 });
    say({ name, unit: 'tok/s', value: (TOKENS / us) * 1e6 });
  }
}

export const training: Part = { name: 'training', use: [autograd(), float8Training()], run };
