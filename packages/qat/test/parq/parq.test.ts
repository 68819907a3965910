// QuantOptimizer against torchao's, numbers of golden/steps.py; saving and going on; converting what was trained.
import { readFileSync } from 'node:fs';
import {
  add,
  type Dense,
  dequantize,
  keep,
  Linear,
  Module,
  mul,
  type Runtime,
  reshape,
  type Tensor,
  tensor,
} from '@ao/core';
import { noGrad } from '@ao/core/autograd';
import { AdamW, AdamW4bit, AdamW8bit, AdamWFp8, SGD } from '@ao/optim';
import { expectClose } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import * as parq from '../../src/index.ts';
import { type BaseOptimizer, ProxHardQuant, ProxPARQ, QuantOptimizer, UnifQuantizer } from '../../src/index.ts';
import { devices } from '../devices.ts';

type Options = Readonly<Record<string, unknown>>;

interface Case {
  readonly quantizer: [string, Options];
  readonly bits: number;
  readonly block: number | null;
  readonly prox: [string, Options];
  readonly wrapper: Options;
  readonly base: [string, Options];
  readonly trajectory: readonly { readonly step: number; readonly w: number[] }[];
  readonly latent: number[];
  readonly b: number[];
}

interface Fixture {
  readonly start: number[][];
  readonly bias: number[];
  readonly pull: number[][][];
  readonly push: number[][];
  readonly cases: readonly Case[];
}

const torchao = JSON.parse(readFileSync(new URL('golden/steps.json', import.meta.url), 'utf8')) as Fixture;
const STEPS = torchao.pull.length;

const camel = (options: Options): Options =>
  Object.fromEntries(Object.entries(options).map(([k, v]) => [k.replace(/_(\w)/g, (_, c) => c.toUpperCase()), v]));

type Made = new (...args: unknown[]) => never;
const made = ([name, options]: readonly [string, Options], ...before: unknown[]): never => {
  const Class = ({ ...parq, SGD, AdamW } as unknown as Record<string, Made>)[name]!;
  return new Class(...before, camel(options));
};

interface Parameters {
  readonly w: Dense;
  readonly b: Dense;
}

function start(rt: Runtime, device: string): Parameters {
  const leaf = (values: number[] | number[][]): Dense => {
    const t = keep(tensor(rt, values, { device })) as Dense;
    t.requiresGrad = true;
    return t;
  };
  return { w: leaf(torchao.start), b: leaf(torchao.bias) };
}

/** The fixture's gradients of a step, which depend on w. */
function gradients({ w, b }: Parameters, step: number): void {
  const { rt, device } = w;
  w.grad = noGrad(() => keep(add(tensor(rt, torchao.pull[step]!, { device }), mul(w, 0.3))));
  b.grad = keep(tensor(rt, torchao.push[step]!, { device }));
}

function wrapped(c: Case, { w, b }: Parameters): QuantOptimizer {
  const base = made(c.base, [{ params: [w] }, { params: [b] }]) as BaseOptimizer;
  const group = { params: [w], quantBits: c.bits, ...(c.block === null ? {} : { quantBlockSize: c.block }) };
  const how = { ...camel(c.wrapper), quantizer: made(c.quantizer), proxMap: made(c.prox) };
  return new QuantOptimizer(base, [group], how);
}

const close = { rtol: 2e-5, atol: 2e-6, why: 'sums of a row in another order' } as const;

describe.each(devices)('parq on $device', ({ rt, device }) => {
  const titled = torchao.cases.map(
    (c) => [`${c.quantizer[0]} ${c.bits} bits ${c.prox[0]} ${c.base[0]} ${JSON.stringify(c.wrapper)}`, c] as const,
  );

  it.each(titled)('%s has torchao’s trajectory', async (_, c) => {
    const params = start(rt, device);
    const optimizer = wrapped(c, params);
    for (let step = 0; step < STEPS; step++) {
      gradients(params, step);
      optimizer.step();
      const want = c.trajectory.find((t) => t.step === step);
      if (want !== undefined) expectClose(await params.w.data(), want.w, close);
    }
    optimizer.restoreLatentParams();
    expectClose(await params.w.data(), c.latent, close);
    expectClose(await params.b.data(), c.b, close);
  });

  it('goes on from a saved state bit for bit, and refuses another', async () => {
    const c = torchao.cases[4]!;
    const whole = start(rt, device);
    const one = wrapped(c, whole);
    const steps = (params: Parameters, optimizer: QuantOptimizer, from: number, to: number): void => {
      for (let step = from; step < to; step++) {
        gradients(params, step);
        optimizer.step();
      }
    };
    steps(whole, one, 0, 4);
    const dict = new Map(
      [...one.stateDict()].map(([name, t]) => [name, noGrad(() => keep(reshape(mul(t, 1), t.shape)))]),
    );
    const names = [...dict.keys()];
    expect(names).toEqual(expect.arrayContaining(['num_steps', 'cumu_lr.0', 'state.0.latent', 'state.0.quants']));
    const rest = start(rt, device);
    for (const key of ['w', 'b'] as const)
      rest[key].storage.backend.write(rest[key].storage.buffer, 0, await bytesOf(whole[key]));
    steps(whole, one, 4, STEPS);
    const two = wrapped(c, rest);
    await two.loadStateDict(dict);
    expect(two.numSteps).toBe(4);
    steps(rest, two, 4, STEPS);
    expect(await rest.w.bits()).toEqual(await whole.w.bits());
    expect(await rest.b.bits()).toEqual(await whole.b.bits());
    const other = wrapped(torchao.cases[0]!, start(rt, device));
    await expect(other.loadStateDict(dict)).rejects.toThrow(/state\.0\.quants has shape \[8,3\]/);
    dict.delete('state.0.latent');
    await expect(two.loadStateDict(dict)).rejects.toThrow(/latent is missing/);
  });
});

async function bytesOf(t: Dense): Promise<Uint8Array> {
  const bits = await t.bits();
  return new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
}

describe('parq', () => {
  const { rt, device } = devices[0]!;

  it.each([AdamW, AdamW8bit, AdamW4bit, AdamWFp8, SGD])(
    'draws what %o steps to the quantizer’s values',
    async (Class) => {
      const big = keep(
        tensor(
          rt,
          Float32Array.from({ length: 4096 }, (_, i) => Math.sin(i * 1.3)),
          { shape: [16, 256] },
        ),
      );
      big.requiresGrad = true;
      const base = new (Class as typeof AdamW)([big], { lr: 0.01 });
      const proxMap = new ProxPARQ({ annealStart: 0, annealEnd: 3 });
      const optimizer = new QuantOptimizer(base, [{ params: [big], quantBits: 2, quantBlockSize: 64 }], {
        ...{ quantizer: new UnifQuantizer(), proxMap, quantPeriod: 1, quantPerChannel: true },
      });
      for (let step = 0; step < 4; step++) {
        big.grad = noGrad(() => keep(mul(big, 0.5)));
        optimizer.step();
        const values = await big.data();
        const count = Math.max(
          ...Array.from({ length: 64 }, (_, r) => new Set(values.slice(r * 64, (r + 1) * 64)).size),
        );
        if (step < 3) expect(count).toBeGreaterThan(4);
        else expect(count).toBeLessThanOrEqual(4);
      }
    },
  );

  it('converts to a scheme without rounding anew', async () => {
    for (const [quantizer, weightOnly] of [
      [new parq.UnifTorchaoQuantizer({ mappingType: 'ASYMMETRIC' }), true],
      [new parq.UnifTorchaoQuantizer(), false],
      [new parq.Int4UnifTorchaoQuantizer(), true],
    ] as const) {
      const model = new Pair(rt);
      const params = [model.a.weight, model.b.weight];
      const optimizer = new QuantOptimizer(
        new SGD(params, { lr: 0.1 }),
        [{ params: [params[0]!], quantBits: 4, quantBlockSize: 32 }],
        {
          ...{ quantizer, proxMap: new ProxHardQuant(), quantPeriod: 1, quantPerChannel: true },
        },
      );
      for (const p of params) p.grad = noGrad(() => keep(mul(p, 0.5)));
      optimizer.step();
      const trained = await params[0]!.data();
      const [report] = await optimizer.torchaoConvert(model, { weightOnly });
      expect(report!.rows.filter((r) => r.scheme !== null && r.scheme !== undefined)).toHaveLength(1);
      expect(await dequantize(model.a.weight).data()).toEqual(trained);
      expect(model.b.weight.kind).toBe(null);
    }
  });

  it('refuses what could not train', () => {
    const { w, b } = start(rt, device);
    const base = new SGD([w, b]);
    const how = { quantizer: new UnifQuantizer(), proxMap: new ProxHardQuant() };
    expect(() => new QuantOptimizer(base, [{ params: [w], quantBits: 16 }], how)).toThrow(/below 16/);
    expect(() => new QuantOptimizer(base, [{ params: [w], quantBits: 0 }], how)).toThrow(/Ternary/);
    expect(() => new QuantOptimizer(base, [{ params: [w], quantBits: 2, quantBlockSize: 5 }], how)).toThrow(
      /blocks of 5/,
    );
    expect(() => new QuantOptimizer(new SGD([b]), [{ params: [w], quantBits: 2 }], how)).toThrow(/base optimizer/);
    expect(() => new QuantOptimizer(base, [{ params: [w], quantBits: 2 }], { ...how, quantPeriod: 0 })).toThrow(
      /quantPeriod 0/,
    );
    expect(() => new ProxPARQ({ annealStart: 3, annealEnd: 3 })).toThrow(/annealStart/);
    const optimizer = new QuantOptimizer(base, [{ params: [w], quantBits: 2 }], how);
    optimizer.initState();
    expect(() => rt.capture(() => optimizer.step() as never)).toThrow(/capture: false/);
  });
});

class Pair extends Module {
  readonly a: Linear;
  readonly b: Linear;
  constructor(rt: Runtime) {
    super();
    const make = (seed: number): Linear => {
      const values = Float32Array.from({ length: 64 * 64 }, (_, i) => Math.sin(i * 1.7 + seed));
      const t = keep(tensor(rt, values, { shape: [64, 64] }));
      t.requiresGrad = true;
      return new Linear(t);
    };
    this.a = make(1);
    this.b = make(2);
  }
  forward(x: Tensor): Tensor {
    return this.b.call(this.a.call(x));
  }
}
