// Training steps of a Llama folder by @ao/train: one captured plan a step, AdamW, gradients clipped at norm 1.
import { bfloat16 } from '@ao/core';
import { autograd } from '@ao/core/autograd';
import { AutoModelForCausalLM, autoRuntime } from '@ao/hf-integration';
import { AdamW, optim } from '@ao/optim';
import { trainStep } from '@ao/train';
import { serve } from '../serve.ts';
import type { TrainingJob, TrainingResult, TrainingSetup } from '../training-engine.ts';

await serve<TrainingSetup, TrainingJob, TrainingResult>(async ({ model: folder, dtype, rows, tokens, ids }) => {
  const runtime = await autoRuntime({ use: [autograd(), optim()] });
  const model = await AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'float32', trainable: true });
  const optimizer = new AdamW(model.parameters(), { lr: 1e-4, weightDecay: 0.01 });
  const how = dtype === 'bfloat16' ? { autocast: bfloat16 } : {};
  const step = trainStep({ model, optimizer, maxGradNorm: 1, ...how }, [1, rows, tokens]);
  const row = (r: number, from: number): readonly number[] =>
    ids.slice(r * (tokens + 1) + from, r * (tokens + 1) + from + tokens);
  const all = (from: number): Int32Array =>
    Int32Array.from(Array.from({ length: rows }, (_, r) => row(r, from)).flat());
  const batch = { ids: all(0), targets: all(1) };
  return {
    info: { engine: 'ao', ...runtime.backend(model.device).info() },
    async run({ steps }) {
      const start = performance.now();
      const losses: Promise<number>[] = [];
      for (let i = 0; i < steps; i++) losses.push(step.run(batch).loss.item());
      const read = await Promise.all(losses);
      // the last loss is there before the optimizer has run
      await runtime.backend(model.device).sync();
      return { tokensPerSecond: (steps * rows * tokens * 1000) / (performance.now() - start), losses: read };
    },
  };
});
