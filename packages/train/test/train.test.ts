// The loop: bit for bit across captures, resumptions and micro-batches; what it logs, saves, refuses and how it ends.
import { bfloat16, bytesSink, bytesSource, createRuntime, int32, type Runtime, type Tensor, tensor } from '@ao/core';
import { autograd, backward, zeroGrad } from '@ao/core/autograd';
import { cpu } from '@ao/kernels-cpu';
import { afterAll, describe, expect, it } from 'vitest';
import {
  evaluateLoss,
  gradientCheckpointing,
  loadCheckpoint,
  lossSum,
  packedDataset,
  saveCheckpoint,
  type TrainingState,
  type TrainLog,
  type TrainOptions,
  train,
} from '../src/index.ts';
import { Bigram, Momentum, tokens } from './tiny.ts';

const data = packedDataset(await tokens(), 8);

/** A runtime of the device; a machine without the addon says so. */
async function runtime(device: string): Promise<Runtime> {
  return createRuntime({ use: device === 'cpu' ? [autograd(), cpu()] : [autograd()], device });
}

function made(rt: Runtime): { model: Bigram; optimizer: Momentum; parts: Parameters<typeof saveCheckpoint>[1] } {
  const model = new Bigram(rt);
  const optimizer = new Momentum(model.parameters(), 0.1);
  return { model, optimizer, parts: { parameters: new Map(model.namedParameters()), optimizer } };
}

const weights = (model: Bigram): number[] => model.parameters().flatMap((p) => [...p.dataSync()]);

const rate = 0.1;
/** A schedule that falls: lr = 0.1 / (1 + step). */
function scheduler(optimizer: Momentum): NonNullable<TrainOptions['scheduler']> {
  let at = 0;
  const set = (): void => {
    const { lr } = optimizer.paramGroups[0]!;
    const bytes = new Uint8Array(Float32Array.of(rate / (1 + at)).buffer);
    lr.storage.backend.write(lr.storage.buffer, 0, bytes);
  };
  return {
    step: () => {
      at += 1;
      set();
    },
    loadStateDict: ({ lastEpoch }) => {
      at = lastEpoch;
      set();
    },
  };
}

describe.each(['reference', 'cpu'])('on %s', async (device) => {
  const rt = await runtime(device);
  afterAll(() => rt.close());

  const run = async (more: Partial<TrainOptions> = {}) => {
    const { model, optimizer } = made(rt);
    const logs: TrainLog[] = [];
    const options = { model, optimizer, data, batchSize: 4, maxSteps: 12, loggingSteps: 1, seed: 3 };
    const result = await train({
      ...options,
      scheduler: scheduler(optimizer),
      onLog: (line) => logs.push(line),
      ...more,
    });
    return { result, losses: logs.map((l) => l.loss), weights: weights(model) };
  };

  it('learns, and replays what eager calls give, bit for bit', async () => {
    const captured = await run();
    const eager = await run({ capture: false });
    expect(captured.losses).toEqual(eager.losses);
    expect(captured.weights).toEqual(eager.weights);
    const { optimizer, model } = made(rt);
    const long = await run({ optimizer, model, scheduler: { step() {}, loadStateDict() {} }, maxSteps: 60 });
    expect(long.losses.at(-1)!).toBeLessThan(0.8 * long.losses[0]!);
  });

  it('20 steps are 10, save, load into new tensors, 10', async () => {
    const whole = made(rt);
    const options = { data, batchSize: 3, gradientAccumulationSteps: 2, seed: 5 };
    await train({ ...options, ...whole, maxSteps: 20, scheduler: scheduler(whole.optimizer) });
    const first = made(rt);
    const half = await train({ ...options, ...first, maxSteps: 10, scheduler: scheduler(first.optimizer) });
    const sink = bytesSink();
    await saveCheckpoint(sink, first.parts, half.state);
    const second = made(rt);
    const resume = await loadCheckpoint(bytesSource(sink.bytes()), second.parts);
    expect(resume).toEqual({ step: 10, position: 60, tokens: 480 });
    const end = await train({ ...options, ...second, maxSteps: 20, resume, scheduler: scheduler(second.optimizer) });
    expect(end.state).toEqual({ step: 20, position: 120, tokens: 960 });
    expect(weights(second.model)).toEqual(weights(whole.model));
    const states = [whole, second].map(({ optimizer }) =>
      [...optimizer.stateDict()].map(([n, t]) => [n, [...t.dataSync()]]),
    );
    expect(states[1]).toEqual(states[0]);
  });

  it('micro-batches give the gradient of the whole batch', async () => {
    const whole = await run({ batchSize: 4, maxSteps: 5 });
    const parts = await run({ batchSize: 1, gradientAccumulationSteps: 4, maxSteps: 5 });
    for (const [i, loss] of whole.losses.entries()) expect(parts.losses[i]).toBeCloseTo(loss!, 5);
    for (const [i, w] of whole.weights.entries()) expect(parts.weights[i]).toBeCloseTo(w, 5);
  });

  it('layers that keep their input alone train alike, and bfloat16 nearly', async () => {
    const plain = await run();
    const { model, optimizer } = made(rt);
    const undo = gradientCheckpointing(model);
    const thrifty = await run({ model, optimizer, scheduler: scheduler(optimizer) });
    expect(thrifty.losses).toEqual(plain.losses);
    undo();
    const { losses } = await run({ autocast: bfloat16 });
    for (const [i, loss] of plain.losses.entries()) {
      expect(Math.abs(losses[i]! - loss!)).toBeLessThan(0.02 * loss!);
      expect(losses[i]).not.toBe(loss);
    }
  });

  it('the loss of many logits is computed in pieces, with the same gradients', () => {
    const { model } = made(rt);
    const last = model.layers.at(-1)!.proj;
    const split = Object.assign(model, {
      headWeight: last.weight,
      hidden: (ids: Tensor) => model.layers.slice(0, -1).reduce((h, l) => l.call(h), model.embed.call(ids)),
    });
    const ids = tensor(rt, [[1, 2, 3, 4]], { dtype: int32 });
    const targets = tensor(rt, [[2, -100, 4, 5]], { dtype: int32 });
    for (const dtype of [undefined, bfloat16]) {
      const [whole, pieces] = [Number.POSITIVE_INFINITY, 1].map((most) => {
        zeroGrad(model.parameters());
        const loss = lossSum(split, ids, targets, dtype, most);
        backward(loss);
        return [loss.itemSync(), ...model.parameters().flatMap((p) => [...p.grad!.dataSync()])];
      });
      const near = dtype === undefined ? 1e-5 : 0.02;
      for (const [i, x] of whole!.entries())
        expect(Math.abs(pieces![i]! - x)).toBeLessThan(near * Math.max(1, Math.abs(x)));
    }
    zeroGrad(model.parameters());
  });

  it('evaluates all rows, whatever the batch', async () => {
    const { model } = made(rt);
    const [one, all] = [
      await evaluateLoss(model, data, { batchSize: 1 }),
      await evaluateLoss(model, data, { batchSize: 9 }),
    ];
    expect(one.tokens).toBe(data.length * 8);
    expect(all.tokens).toBe(one.tokens);
    expect(all.loss).toBeCloseTo(one.loss, 5);
    expect(one.loss).toBeCloseTo(Math.log(11), 0);
  });

  it('leaves no memory behind', async () => {
    const { model, optimizer } = made(rt);
    const live = (): number => rt.backend(device).memory().live;
    const options = { model, optimizer, data, batchSize: 2, maxSteps: 2, evaluation: data };
    await train(options);
    const before = live();
    await train(options);
    expect(live()).toBe(before);
  });
});

const rt = await runtime('reference');

it('logs every so many steps, evaluates, saves, and tells each step', async () => {
  const { model, optimizer, parts } = made(rt);
  const lines: TrainLog[] = [];
  const saved: TrainingState[] = [];
  const steps: number[] = [];
  const { state, evalLoss, aborted } = await train({
    ...{ model, optimizer, data, evaluation: data, batchSize: 2, maxSteps: 10 },
    ...{ loggingSteps: 4, evalSteps: 5, saveSteps: 5 },
    onLog: (line) => lines.push(line),
    onStep: ({ step }) => steps.push(step),
    save: async (s) => {
      await saveCheckpoint(bytesSink(), parts, s);
      saved.push(s);
    },
  });
  expect(lines.map((l) => [l.step, 'eval_loss' in l])).toEqual([
    [1, false],
    [4, false],
    [5, true],
    [8, false],
    [10, false],
    [10, true],
  ]);
  expect(lines[1]).toMatchObject({ epoch: 8 / data.length, learning_rate: Math.fround(0.1), tokens: 64 });
  expect(lines.at(-1)!.eval_loss).toBe(evalLoss);
  expect(lines[0]!.grad_norm).toBeGreaterThan(0);
  expect(steps).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(saved).toEqual([{ step: 5, position: 10, tokens: 80 }, state]);
  expect([state.step, aborted]).toEqual([10, false]);
});

it('ends after the steps begun when it is aborted, and saves a state to go on from', async () => {
  const { model, optimizer, parts } = made(rt);
  const controller = new AbortController();
  const sink = bytesSink();
  const options = { model, optimizer, data, batchSize: 2, maxSteps: 12 };
  const cut = await train({
    ...options,
    signal: controller.signal,
    onStep: ({ step }) => step === 3 && controller.abort(),
    save: (state) => saveCheckpoint(sink, parts, state),
  });
  expect(cut.aborted).toBe(true);
  expect(cut.state.step).toBeLessThan(7);
  const resumed = made(rt);
  const resume = await loadCheckpoint(bytesSource(sink.bytes()), resumed.parts);
  expect(resume).toEqual(cut.state);
  await train({ ...options, ...resumed, resume });
  const whole = made(rt);
  await train({ ...options, ...whole });
  expect(weights(resumed.model)).toEqual(weights(whole.model));
});

it('a checkpoint of another training changes nothing', async () => {
  const first = made(rt);
  const sink = bytesSink();
  await saveCheckpoint(sink, first.parts, { step: 1, position: 2, tokens: 3 });
  const { model, optimizer } = made(rt);
  const before = weights(model);
  const named = [...model.namedParameters()];
  const fewer = { parameters: new Map(named.slice(1)), optimizer };
  const renamed = { parameters: new Map(named.map(([name, t], i) => [`${name}${i}`, t])), optimizer };
  for (const parts of [fewer, renamed])
    await expect(loadCheckpoint(bytesSource(sink.bytes()), parts)).rejects.toThrow(/embed\.weight.*Fix: resume with/s);
  expect(weights(model)).toEqual(before);
  await expect(loadCheckpoint(bytesSource(new Uint8Array(3)), first.parts)).rejects.toThrow();
});

it('says what is wrong before any work', async () => {
  const { model, optimizer } = made(rt);
  const options = { model, optimizer, data, maxSteps: 3 };
  const { weight } = model.embed;
  const wrong: [Partial<TrainOptions>, RegExp][] = [
    [{ maxSteps: 0 }, /maxSteps is 0/],
    [{ batchSize: 1.5 }, /batchSize is 1.5/],
    [{ gradientAccumulationSteps: -1 }, /gradientAccumulationSteps is -1/],
    [{ maxGradNorm: Number.NaN }, /maxGradNorm is NaN/],
    [{ data: packedDataset(await tokens(), 33) }, /rows of 33 tokens; the model has 32 positions/],
    [{ resume: { step: 4, position: 0, tokens: 0 } }, /of step 4, maxSteps is 3/],
  ];
  for (const [more, message] of wrong) await expect(train({ ...options, ...more })).rejects.toThrow(message);
  weight.requiresGrad = false;
  await expect(train(options)).rejects.toThrow(/1 of the optimizer's 3 parameters.*trainable/s);
  weight.requiresGrad = true;
});

it('an error within the step reaches the caller, and the next training runs', async () => {
  const { model, optimizer } = made(rt);
  const broken = Object.assign(new Bigram(rt), {
    forward: () => {
      throw new Error('no forward');
    },
  });
  await expect(train({ model: broken, optimizer, data, maxSteps: 2 })).rejects.toThrow('no forward');
  const { state } = await train({ model, optimizer, data, maxSteps: 2 });
  expect(state.step).toBe(2);
});
