// torch.optim's steps, also from torch's saved state on, and transformers' schedules; numbers of golden/steps.py.
import { readFileSync } from 'node:fs';
import { type Tensor, tensor } from '@ao/core';
import { expectClose } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import { Adam, AdamW, getScheduler, type Optimizer, type SchedulerName, SGD } from '../src/index.ts';
import { devices } from './devices.ts';

interface Fixture {
  readonly start: number[];
  readonly grads: number[][];
  readonly optimizers: readonly {
    readonly name: string;
    readonly options: Readonly<Record<string, unknown>>;
    readonly halfway: { readonly p: number[]; readonly state: Readonly<Record<string, number[] | number>> };
    readonly p: number[];
  }[];
  readonly schedules: readonly {
    readonly name: SchedulerName;
    readonly options: Readonly<Record<string, unknown>>;
    readonly lr: number[];
  }[];
}

const torch = JSON.parse(readFileSync(new URL('golden/steps.json', import.meta.url), 'utf8')) as Fixture;

const camel = (options: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(options).map(([key, v]) => [key.replace(/_(\w)/g, (_, c: string) => c.toUpperCase()), v]),
  );

const classes = { SGD, Adam, AdamW } as unknown as Record<
  string,
  new (
    params: Tensor[],
    options: object,
  ) => Optimizer<object>
>;
const tolerance = { rtol: 4e-6, atol: 1e-7, why: 'torch fuses multiply and add' } as const;

describe.each(devices)('torch.optim on $device', ({ rt, device }) => {
  it.each(torch.optimizers.map((c) => [`${c.name} ${JSON.stringify(c.options)}`, c] as const))('%s', async (_, c) => {
    const run = async (p: Tensor, optimizer: Optimizer<object>, from: number): Promise<void> => {
      for (const g of torch.grads.slice(from)) {
        p.grad = tensor(rt, g, { device });
        optimizer.step();
      }
      expectClose(await p.data(), c.p, tolerance);
    };
    const p = tensor(rt, torch.start, { device });
    await run(p, new classes[c.name]!([p], camel(c.options)), 0);

    // SGD of torch counts no steps: its buffer says that there was one
    const { state } = c.halfway;
    if (c.name === 'SGD' && state['momentum_buffer'] === undefined) return;
    const q = tensor(rt, c.halfway.p, { device });
    const resumed = new classes[c.name]!([q], camel(c.options));
    const dict = new Map(Object.entries(state).map(([key, v]) => [`state.0.${key}`, tensor(rt, v, { device })]));
    await resumed.loadStateDict(dict);
    await run(q, resumed, torch.grads.length / 2);
  });
});

describe('schedules', () => {
  it.each(torch.schedules.map((c) => [c.name, c] as const))('%s is transformers’', async (name, c) => {
    const { rt, device } = devices.at(-1)!;
    const optimizer = new SGD([tensor(rt, [1], { device })], { lr: 0.02 });
    const { schedulerSpecificKwargs = {}, ...rest } = camel(c.options);
    const scheduler = getScheduler(name, optimizer, { ...rest, ...camel(schedulerSpecificKwargs as object) });
    const rates: number[] = [];
    for (const _ of c.lr) {
      rates.push(scheduler.getLastLr()[0]!);
      expect(await optimizer.paramGroups[0]!.lr.item()).toBe(Math.fround(rates.at(-1)!));
      scheduler.step();
    }
    expectClose(rates, c.lr, { rtol: 1e-12, atol: 1e-18, why: 'the order of operations in doubles' });
  });

  it('goes on from a saved step, and refuses what has no end', () => {
    const { rt } = devices[0]!;
    const optimizer = new SGD([tensor(rt, [1], { device: 'reference' })]);
    const schedule = { numWarmupSteps: 2, numTrainingSteps: 9 };
    const a = getScheduler('cosine', optimizer, schedule);
    for (let i = 0; i < 5; i++) a.step();
    const b = getScheduler('cosine', optimizer, schedule);
    b.loadStateDict(a.stateDict());
    expect(b.getLastLr()).toEqual(a.getLastLr());
    expect(() => getScheduler('linear', optimizer)).toThrow(/numTrainingSteps/);
    expect(() => getScheduler('square' as SchedulerName, optimizer)).toThrow(/constant_with_warmup/);
  });
});
