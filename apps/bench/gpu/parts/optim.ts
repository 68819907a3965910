// A step on 2^30 bfloat16 parameters, sixteen matrices [8192, 8192], replayed as one plan: bytes are those that have to be read and
// written once (parameter, gradient and moments; scales of blocks not counted). Before, the samples of the fused steps, against the
// reference backend.
import * as ao from '@ao/core';
import { autograd, normal_ } from '@ao/core/autograd';
import { cuda } from '@ao/kernels-cuda';
import { _AdamW, type AdamBase, AdamW, AdamW4bit, AdamW8bit, AdamWFp8, optim } from '@ao/optim';
import { runOpConformance } from '@ao/testing/ops';
import { optimSamples } from '../../../../packages/optim/test/samples.ts';
import { type Part, timePlan } from '../part.ts';

const MATRICES = 16;
const SIDE = 8192;

const optimizers: Readonly<Record<string, readonly [bytes: number, make: (p: ao.Tensor[]) => AdamBase]>> = {
  AdamW: [14, (p) => new AdamW(p)],
  'AdamW, stochastic rounding': [14, (p) => new _AdamW(p, { bf16StochasticRound: true })],
  AdamW8bit: [10, (p) => new AdamW8bit(p)],
  'AdamW8bit, stochastic rounding': [10, (p) => new AdamW8bit(p, { bf16StochasticRound: true })],
  AdamW4bit: [8, (p) => new AdamW4bit(p)],
  AdamWFp8: [10, (p) => new AdamWFp8(p)],
};

export const optimizerSteps: Part = {
  name: 'optim',
  async run(_, say) {
    const rt = await ao.createRuntime({ use: [cuda(), optim(), autograd()] });
    const { passed, failed } = await runOpConformance(rt, 'cuda', optimSamples());
    say({ name: 'conformance of steps', unit: 'passed', value: passed.length });
    const note = failed.map(({ test, message }) => `${test}: ${message}`).join('\n');
    say({ name: 'conformance of steps', unit: 'failed', value: failed.length, ...(note === '' ? {} : { note }) });
    const state = ao.tensor(rt, [1, 0], { dtype: ao.int32 });
    const values = (std: number) =>
      normal_(ao.empty(rt, [SIDE, SIDE], { dtype: ao.bfloat16 }), 0, std, state) as ao.Dense;
    const params = Array.from({ length: MATRICES }, () => values(0.02));
    const grads = params.map(() => values(1e-3));
    for (const [name, [bytes, make]] of Object.entries(optimizers)) {
      for (const p of params) p.requiresGrad = true;
      const optimizer = make(params);
      optimizer.initState();
      const step = (): ao.Tensor => {
        for (const [i, p] of params.entries()) p.grad = grads[i]!;
        optimizer.step();
        for (const p of params) p.grad = null;
        return ao.zeros(rt, [1]);
      };
      const value = (await timePlan(rt, [step])) / 1000;
      say({ name: `${name} step, 2^30 parameters`, unit: 'ms', value, bytes: bytes * MATRICES * SIDE * SIDE });
      for (const own of optimizer.state.values()) for (const t of Object.values(own)) t.dispose();
    }
    await rt.close();
  },
};
