// This project's optimizers on one large parameter.
import { createRuntime, type Tensor, tensor } from '@ao/core';
import { cpu } from '@ao/kernels-cpu';
import * as optim from '@ao/optim';
import type { OptimJob, OptimResult, OptimSetup } from '../optim-engine.ts';
import { serve } from '../serve.ts';

const CLASSES = optim as unknown as Record<string, new (params: Tensor[]) => optim.Optimizer<object>>;

await serve<OptimSetup, OptimJob, OptimResult>(async () => {
  const rt = await createRuntime({ use: [cpu(), optim.optim()] });
  let made: { readonly key: string; readonly p: Tensor; readonly optimizer: optim.Optimizer<object> } | undefined;

  function optimizerOf({ optimizer: name, parameters }: OptimJob): optim.Optimizer<object> {
    const key = `${name} ${parameters}`;
    if (made?.key === key) return made.optimizer;
    const values = (seed: number): Tensor =>
      tensor(
        rt,
        Float32Array.from({ length: parameters }, (_, i) => Math.sin(i * i * 0.37 + seed) * Math.cos(i * 0.01) ** 4),
      );
    const p = values(1);
    p.grad = values(2);
    made = { key, p, optimizer: new CLASSES[name]!([p]) };
    return made.optimizer;
  }

  async function run(job: OptimJob): Promise<OptimResult> {
    const optimizer = optimizerOf(job);
    await rt.backend('cpu').sync();
    const start = performance.now();
    for (let i = 0; i < job.steps; i++) optimizer.step();
    await rt.backend('cpu').sync();
    return { seconds: (performance.now() - start) / 1000 / job.steps };
  }

  return { info: rt.backend('cpu').info(), run };
});
