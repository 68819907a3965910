// Peak memory of training a model of Llama 3.2 1B's shape (1.24 G bfloat16 parameters, random) on one text of 256 tokens, step by step as
// JavaScript enqueues it: what tensors held at the most, what the pool had from the device, and the time of a step. AdamW, its 4-bit
// and 8-bit forms, and AdamW on the host (gradients are sent and freed as backward makes them).
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ao from '@ao/core';
import { autograd, backward, trainableParameters } from '@ao/core/autograd';
import { AutoModelForCausalLM, type CausalLM } from '@ao/hf-integration';
import { cpu } from '@ao/kernels-cpu';
import { cuda } from '@ao/kernels-cuda';
import { AdamW, AdamW4bit, AdamW8bit, CPUOffloadOptimizer, optim } from '@ao/optim';
import type { Part, Say } from '../part.ts';

const TOKENS = 256;
const STEPS = 3;

const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 2048,
  intermediate_size: 8192,
  num_hidden_layers: 16,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  vocab_size: 128256,
  max_position_embeddings: TOKENS,
  rms_norm_eps: 1e-5,
  rope_theta: 500000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
};

interface Stepper {
  step(): void | Promise<void>;
  zeroGrad(): void;
}

const optimizers: Readonly<Record<string, (params: ao.Tensor[]) => Stepper>> = {
  AdamW: (p) => new AdamW(p),
  AdamW8bit: (p) => new AdamW8bit(p),
  AdamW4bit: (p) => new AdamW4bit(p),
  'AdamW on the host': (p) => new CPUOffloadOptimizer(p, AdamW, { offloadGradients: true }),
};

async function model(rt: ao.Runtime): Promise<CausalLM> {
  const folder = mkdtempSync(join(tmpdir(), 'ao-bench-'));
  try {
    writeFileSync(join(folder, 'config.json'), JSON.stringify(CONFIG));
    return await AutoModelForCausalLM.fromConfig(folder, { runtime: rt, dtype: 'bfloat16', device: 'cuda' });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function train(name: string, make: (params: ao.Tensor[]) => Stepper, say: Say): Promise<void> {
  const rt = await ao.createRuntime({ use: [cuda(), cpu(), optim(), autograd()], device: 'cuda' });
  const gpu = rt.backend('cuda');
  const m = await model(rt);
  const optimizer = make(trainableParameters(m).map(([, p]) => p));
  const row = Int32Array.from({ length: TOKENS }, (_, i) => (i * 7919) % CONFIG.vocab_size);
  const ids = ao.tensor(rt, row, { shape: [1, TOKENS], dtype: ao.int32 });
  const targets = ao.tensor(
    rt,
    row.map((id) => (id * 31 + 7) % CONFIG.vocab_size),
    { dtype: ao.int32 },
  );
  m.prepareFor(TOKENS);
  const times: number[] = [];
  for (let i = 0; i < STEPS; i++) {
    const start = performance.now();
    ao.scope(() => backward(ao.mean(ao.crossEntropy(ao.reshape(m.forward(ids), [TOKENS, -1]), targets))));
    await optimizer.step();
    optimizer.zeroGrad();
    await gpu.sync();
    times.push(performance.now() - start);
  }
  const { peak, reserved } = gpu.memory!();
  say({ name: `${name}: peak of tensors, 1.24 G parameters`, unit: 'GB', value: peak / 1e9 });
  say({ name: `${name}: pool, 1.24 G parameters`, unit: 'GB', value: reserved / 1e9 });
  say({ name: `${name}: step, 1.24 G parameters`, unit: 'ms', value: Math.min(...times.slice(1)) });
  await rt.close();
}

export const memoryTraining: Part = {
  name: 'memory-training',
  async run(_, say) {
    for (const [name, make] of Object.entries(optimizers)) await train(name, make, say);
  },
};
