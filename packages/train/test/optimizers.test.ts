// Every optimizer: 20 captured steps equal 10, save, load into new tensors, 10, bit for bit, state and all.
import { bytesSink, bytesSource, createRuntime, type Dense, isWrapped, type Tensor } from '@ao/core';
import { autograd } from '@ao/core/autograd';
import { cpu } from '@ao/kernels-cpu';
import * as optimizers from '@ao/optim';
import { afterAll, describe, expect, it } from 'vitest';
import { loadCheckpoint, packedDataset, saveCheckpoint, train } from '../src/index.ts';
import { Bigram, tokens } from './tiny.ts';

const { optim, getScheduler, SGD, Optimizer } = optimizers;
type Made = InstanceType<typeof Optimizer<object>>;
type Maker = (params: Tensor[], lr: number) => Made;

/** The classes that the package has, whichever they are. */
const classes = Object.entries(optimizers).filter(
  ([name, value]) => /^_?(Adam|SGD)/.test(name) && name !== 'AdamBase' && typeof value === 'function',
) as unknown as [string, new (params: Tensor[], options: object) => Made][];
const list: [string, Maker][] = classes.map(([name, Class]) => [name, (p, lr) => new Class(p, { lr })]);
list.push(
  ['SGD with momentum', (p, lr) => new SGD(p, { lr, momentum: 0.9, nesterov: true }) as Made],
  ['AdamW8bit, amsgrad', (p, lr) => new optimizers.AdamW8bit(p, { lr, amsgrad: true }) as Made],
);

const bitsOf = (t: Tensor): unknown =>
  isWrapped(t) ? Object.values(t.parts).map(bitsOf) : [...(t as Dense).bitsSync()];

const data = packedDataset(await tokens(), 8);

describe.each(['reference', 'cpu'])('on %s', async (device) => {
  const use = [autograd(), optim(), ...(device === 'cpu' ? [cpu()] : [])];
  const rt = await createRuntime({ use, device });
  afterAll(() => rt.close());

  // the slow backend runs one of each kind of state
  const few = list.filter(([name]) => device === 'cpu' || /^(AdamW|SGD|AdamW8bit|AdamW4bit|AdamWFp8)$/.test(name));
  it.each(few)('%s', async (name, make) => {
    const made = () => {
      // 11 x 512 elements: from 4,096 on, in whole blocks, state is quantized
      const model = new Bigram(rt, 512);
      const optimizer = make(model.parameters(), 0.01);
      const scheduler = getScheduler('cosine', optimizer, { numWarmupSteps: 4, numTrainingSteps: 20 });
      return { model, optimizer, scheduler, parts: { parameters: new Map(model.namedParameters()), optimizer } };
    };
    const options = { data, batchSize: 2, loggingSteps: 20 };
    const whole = made();
    await train({ ...options, ...whole, maxSteps: 20 });
    const first = made();
    const { state } = await train({ ...options, ...first, maxSteps: 10 });
    const sink = bytesSink();
    await saveCheckpoint(sink, first.parts, state);
    const second = made();
    const resume = await loadCheckpoint(bytesSource(sink.bytes()), second.parts);
    await train({ ...options, ...second, maxSteps: 20, resume });
    for (const [of, t] of whole.model.namedParameters())
      expect(bitsOf(second.parts.parameters.get(of)!), of).toEqual(bitsOf(t));
    const again = second.optimizer.stateDict();
    for (const [of, t] of whole.optimizer.stateDict()) expect(bitsOf(again.get(of)!), of).toEqual(bitsOf(t));
    expect([...again.values()].some(isWrapped)).toBe(/bit|Fp8/.test(name));
    expect(bitsOf(first.model.embed.weight)).not.toEqual(bitsOf(whole.model.embed.weight));
  });
});
