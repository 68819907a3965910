// This project's linear on an int4 weight with int8 activations by group: `rounds` of them in one captured plan, one replay.
import { createRuntime, type Dense, Linear, linear, type Plan, prepare, tensor } from '@ao/core';
import { cpu } from '@ao/kernels-cpu';
import { int4WeightOnly, intxWeightOnly, perGroup, quantization, quantize_ } from '@ao/quantization';
import type { LinearJob, LinearResult, LinearSetup } from '../linear-engine.ts';
import { serve } from '../serve.ts';

await serve<LinearSetup, LinearJob, LinearResult>(async () => {
  const rt = await createRuntime({ use: [cpu(), quantization()] });
  const plans = new Map<string, Plan>();

  const values = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => Math.sin(i * 1.7));

  async function plan({ m, n, k, group, zeroPoints, rounds }: LinearJob): Promise<Plan> {
    const layer = new Linear(tensor(rt, values(n * k), { shape: [n, k] }));
    const activation = 'int8-group';
    await quantize_(
      layer,
      zeroPoints
        ? int4WeightOnly({ groupSize: group, activation })
        : intxWeightOnly({ weightDtype: 'int4', granularity: perGroup(group), activation }),
      { sqnr: false },
    );
    await prepare(layer);
    const x = tensor(rt, values(m * k), { shape: [m, k] });
    return rt.capture((input: Dense) => {
      let y = linear(input, layer.weight);
      for (let i = 1; i < rounds; i++) {
        y.dispose();
        y = linear(input, layer.weight);
      }
      return y;
    }, x);
  }

  async function run(job: LinearJob): Promise<LinearResult> {
    const key = JSON.stringify(job);
    const ready = plans.get(key) ?? (await plan(job));
    plans.set(key, ready);
    await rt.backend('cpu').sync();
    const start = performance.now();
    ready.replay();
    await rt.backend('cpu').sync();
    return { seconds: (performance.now() - start) / 1000 / job.rounds };
  }

  return { info: rt.backend('cpu').info(), run };
});
