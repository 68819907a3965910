// What Float8Linear does around its numbers: filters, errors, padding, counts, scales found ahead, checkpointing, capture, autocast, optimizers.
import {
  bfloat16,
  cast,
  copy_,
  type Dense,
  dequantize,
  Embedding,
  float8_e4m3fn,
  int32,
  keep,
  Linear,
  Module,
  mean,
  mul,
  type Runtime,
  relu,
  scope,
  stateDict,
  sub,
  type Tensor,
  tensor,
} from '@ao/core';
import { autocast, backward, checkpoint, grad, noGrad, requiresGrad_, trainableParameters } from '@ao/core/autograd';
import { AdamW, AdamW4bit, AdamW8bit, AdamWFp8, type Optimizer } from '@ao/optim';
import { expectBits } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import {
  autoFilterForRecipe,
  convertToFloat8Training,
  Float8Linear,
  float8Codes,
  float8Counts,
  float8LinearConfig,
  float8Recipes,
  float8Scale,
  precomputeFloat8DynamicScale,
  recipeConfig,
  type TrainingTensor,
  toFloat8,
  toFloatLinears,
  trainingKind,
  withFloatWeights,
} from '../src/index.ts';
import { devices } from './devices.ts';

const wave = (rt: Runtime, shape: number[], seed: number, size = 1): Tensor => {
  const n = shape.reduce((a, b) => a * b, 1);
  return keep(
    tensor(
      rt,
      Float32Array.from({ length: n }, (_, i) => size * Math.sin(i * i * 0.37 + seed)),
      { shape },
    ),
  );
};

class Mlp extends Module {
  readonly fc1: Linear;
  readonly fc2: Linear;
  constructor(rt: Runtime, [i, h, o]: readonly number[] = [64, 64, 32]) {
    super();
    this.fc1 = new Linear(wave(rt, [h!, i!], 1), wave(rt, [h!], 2));
    this.fc2 = new Linear(wave(rt, [o!, h!], 3));
    requiresGrad_(this);
    this.named();
  }
  forward(x: Tensor): Tensor {
    return this.fc2.call(relu(this.fc1.call(x)));
  }
}

const lossOf = (y: Tensor, t: Tensor): Tensor => {
  const error = sub(y, t);
  return mean(mul(error, error));
};
const bitsOf = (ts: readonly (Tensor | null | undefined)[]): Promise<unknown[]> =>
  Promise.all(ts.map((t) => t!.bits()));
const emulate = { emulate: true };

describe('configs', () => {
  it('fills in what is not given, as torchao does', () => {
    const c = float8LinearConfig();
    expect(c.castConfigGradOutputForGradWeight.targetDtype).toBe('float8_e5m2');
    expect(c.castConfigWeightForGradInput).toEqual(c.castConfigWeight);
    expect(c.gemmConfigOutput.useFastAccum).toBe(true);
    const hp = recipeConfig('rowwise_with_gw_hp');
    expect(hp.castConfigInputForGradWeight.scalingType).toBe('disabled');
    expect(hp.roundScalesToPowerOf2).toBe(true);
    expect(float8Recipes()).toEqual(['tensorwise', 'rowwise', 'rowwise_with_gw_hp']);
  });
  it.each([
    [{ castConfigInput: { scalingType: 'disabled' } }, /one operand of output/],
    [{ castConfigInput: { scalingType: 'disabled', scalingGranularity: 'axiswise' } }, /axiswise and disabled/],
    [{ castConfigWeight: { scalingGranularity: 'axiswise' }, enableFsdpFloat8AllGather: true }, /one dynamic scale/],
    [
      {
        castConfigInput: { targetDtype: 'float8_e5m2' },
        castConfigInputForGradWeight: { targetDtype: 'float8_e4m3fn' },
      },
      /is cast to float8_e5m2 and/,
    ],
    [{ castConfigInput: { targetDtype: 'float8_e8m0fnu' } }, /targetDtype is/],
  ])('refuses %j', (options, message) => {
    expect(() => float8LinearConfig(options as never)).toThrow(message);
  });
  it('knows no other recipe', () => expect(() => recipeConfig('blockwise' as never)).toThrow(/no float8 recipe/));
});

describe.each(devices)('float8 training on $device', ({ rt, device }) => {
  it('converts the linears that the filter takes, under the names they had, and back', async () => {
    const model = new Mlp(rt);
    const names = trainableParameters(model).map(([name]) => name);
    const before = model.fc1.weight;
    expect(convertToFloat8Training(model, { moduleFilterFn: (_, fqn) => fqn !== 'fc2' })).toBe(model);
    expect(model.fc1).toBeInstanceOf(Float8Linear);
    expect((model.fc1 as Float8Linear).config.type).toBe('Float8LinearConfig');
    expect(model.fc2).not.toBeInstanceOf(Float8Linear);
    expect(trainableParameters(model).map(([name]) => name)).toEqual(names);
    expect(before.disposed).toBe(true);
    const w = model.fc1.weight as TrainingTensor;
    const bits = await w.weight.bits();
    const saved = await withFloatWeights(model, async () => stateDict(model));
    expect(saved.get('fc1.weight')).toBe(w.weight);
    expect(model.fc1.weight).toBe(w);
    toFloatLinears(model);
    expect(await model.fc1.weight.bits()).toEqual(bits);
    backward(mean(model.call(wave(rt, [16, 64], 5))));
    expect(model.fc1.weight.grad).not.toBe(null);
    expect(model.fc1.constructor).toBe(Linear);
    expect([...stateDict(model)].every(([, t]) => t.kind === null)).toBe(true);
    expect(trainableParameters(model).map(([name]) => name)).toEqual(names);
  });

  it('names every linear that does not fit before any work, and what is quantized', () => {
    const model = new Mlp(rt, [64, 120, 8]);
    expect(() => convertToFloat8Training(model)).toThrow(/fc1 \[120,64\] .*; fc2 \[8,120\]/);
    expect(model.fc1.weight.kind).toBe(null);
    convertToFloat8Training(model, { config: emulate });
    expect(trainingKind.is(model.fc2.weight)).toBe(true);
    const whole = new Linear(cast(wave(rt, [16, 16], 1), int32));
    expect(() => convertToFloat8Training(whole)).toThrow(/no plain float tensor/);
  });

  it("takes torchao's thresholds", () => {
    const linear = (n: number, k: number) => ({ weight: { shape: [n, k] } }) as never;
    const tensorwise = autoFilterForRecipe('tensorwise', ['head']);
    expect(tensorwise(linear(1024, 4096), 'a')).toBe(false);
    expect(tensorwise(linear(1040, 16), 'a')).toBe(true);
    expect(tensorwise(linear(1040, 16), 'lm_head')).toBe(false);
    expect(tensorwise(linear(2056, 16), 'a')).toBe(false);
    const rowwise = autoFilterForRecipe('rowwise', []);
    expect(rowwise(linear(4096, 2048), 'a')).toBe(false);
    expect(rowwise(linear(4096, 2064), 'a')).toBe(true);
    expect(() => autoFilterForRecipe('rowwise_with_gw_hp', [])).toThrow(/no thresholds/);
  });

  it('pads what a product sums over, to the same bits, and refuses rows that tensor cores would', async () => {
    const x = wave(rt, [3, 7, 64], 5);
    const run = async (config: object) => {
      const model = convertToFloat8Training(new Mlp(rt), { recipe: 'rowwise', config });
      const y = model.call(x);
      const params = trainableParameters(model).map(([, p]) => p);
      return bitsOf([y, ...grad(y, params, { gradient: wave(rt, [3, 7, 32], 6) })]);
    };
    expect(await run({ padInnerDim: true })).toEqual(await run(emulate));
    await expect(run({})).rejects.toThrow(/sums over 21 rows/);
    const model = convertToFloat8Training(new Mlp(rt));
    expect(noGrad(() => model.call(x)).shape).toEqual([3, 7, 32]);
  });

  it('gives errors of shape and dtype with the op that found them', () => {
    const model = convertToFloat8Training(new Mlp(rt));
    expect(() => model.call(wave(rt, [16, 32], 1))).toThrow(/x \[16,32\] does not fit the weight/);
    expect(() => toFloat8(wave(rt, [4], 1), bfloat16, 'all', false)).toThrow(/no matrix/);
    expect(() => toFloat8(wave(rt, [4, 4], 1), bfloat16, 'all', false)).toThrow(/no float8 of training/);
  });

  it('counts what saturates and what is not finite, by layer, and says so once', async () => {
    const model = convertToFloat8Training(new Mlp(rt), {
      countValues: true,
      config: { enableFsdpFloat8AllGather: true },
    });
    const x = wave(rt, [16, 64], 5);
    const step = (): void => scope(() => backward(mean(model.call(x))));
    step();
    const clean = { saturated: 0, nonFinite: 0 };
    expect(await float8Counts(model)).toEqual(
      ['fc1', 'fc2'].map((module) => ({ module, input: clean, weight: clean, gradOutput: clean })),
    );
    // scales that were found before the weight grew
    const w = model.fc1.weight as TrainingTensor;
    noGrad(() => copy_(w.weight, mul(w.weight, 4)));
    expect(() => step()).toThrow(/changed since its scale was found/);
    w.attrs.state.version = (w.weight as Dense).storage.version;
    const bad = keep(
      tensor(
        rt,
        Float32Array.from({ length: 16 * 64 }, (_, i) => (i < 3 ? Number.NaN : 1)),
        { shape: [16, 64] },
      ),
    );
    noGrad(() => model.call(bad));
    const [first] = await float8Counts(model, { reset: true });
    expect(first!.input.nonFinite).toBe(3);
    expect(first!.weight.saturated).toBeGreaterThan(500);
    expect((await float8Counts(model))[0]!.input).toEqual(clean);
    expect(precomputeFloat8DynamicScale(model)).toBe(2);
    step();
    expect((await float8Counts(model))[0]!.weight).toEqual(clean);
  });

  it('scales found ahead give the bits of scales found at each cast', async () => {
    const run = async (ahead: boolean) => {
      const model = convertToFloat8Training(new Mlp(rt), { config: { enableFsdpFloat8AllGather: ahead } });
      const params = trainableParameters(model).map(([, p]) => p);
      const optimizer = new AdamW(params, { lr: 0.01 });
      for (let i = 0; i < 3; i++) {
        scope(() => backward(lossOf(model.call(wave(rt, [16, 64], i)), wave(rt, [16, 32], 9))));
        optimizer.step();
        optimizer.zeroGrad();
        expect(precomputeFloat8DynamicScale(model)).toBe(ahead ? 2 : 0);
      }
      return bitsOf(params);
    };
    expect(await run(true)).toEqual(await run(false));
  });

  it('rounds scales down to powers of two by their bits', async () => {
    const x = tensor(rt, [448 * 2 ** -10 * (1 + 2 ** -23), 448 * 2 ** -10], { shape: [2, 1] });
    const scale = float8Scale(x, float8_e4m3fn, 'rows', true);
    expect(Array.from(await scale.data(), Number)).toEqual([512, 1024]);
    const [, fused] = toFloat8(x, float8_e4m3fn, 'rows', true);
    expect(await fused.bits()).toEqual(await scale.bits());
  });

  it('keeps NaN, and takes zeros and infinities', async () => {
    const x = tensor(rt, [0, 0, 1, Number.POSITIVE_INFINITY, Number.NaN, 2], { shape: [3, 2] });
    const [codes, scale] = toFloat8(x, float8_e4m3fn, 'rows', true);
    expect(Array.from(await scale.data(), Number).slice(0, 2)).toEqual([2 ** 48, 0]);
    expect(Array.from(await codes.data(), Number)).toEqual([0, 0, 0, Number.NaN, Number.NaN, Number.NaN]);
    const known = float8Codes(x, tensor(rt, [1e6], { shape: [1, 1] }), float8_e4m3fn);
    expect(Array.from(await known.data(), Number)).toEqual([0, 0, 448, 448, Number.NaN, 448]);
  });

  it('checkpointing gives the same gradients', async () => {
    const model = convertToFloat8Training(new Mlp(rt), { recipe: 'rowwise' });
    const params = trainableParameters(model).map(([, p]) => p);
    const x = wave(rt, [16, 64], 5);
    x.requiresGrad = true;
    const plain = await bitsOf(grad(mean(model.call(x)), [x, ...params]));
    backward(mean(checkpoint((t) => model.call(t), [x])));
    expect(await bitsOf([x.grad, ...params.map((p) => p.grad)])).toEqual(plain);
  });

  it('runs under autocast, with and without gradients: products in the lower dtype, gradients of weights in theirs', async () => {
    const model = convertToFloat8Training(new Mlp(rt));
    const x = wave(rt, [16, 64], 5);
    const y = autocast(bfloat16, () => model.call(x));
    expect(y.dtype).toBe(bfloat16);
    backward(mean(y));
    for (const [, p] of trainableParameters(model)) expect(p.grad!.dtype).toBe(p.dtype);
    const again = noGrad(() => autocast(bfloat16, () => model.call(x)));
    expectBits(await again.bits(), (await y.bits()) as never, 'without gradients');
  });

  it('a tied embedding reads the trained weight', async () => {
    class Tied extends Module {
      readonly embed: Embedding;
      readonly head: Linear;
      constructor(weight: Tensor) {
        super();
        this.embed = new Embedding(weight);
        this.head = new Linear(weight);
      }
      forward(ids: Tensor): Tensor {
        return this.head.call(this.embed.call(ids));
      }
    }
    const model = new Tied(wave(rt, [32, 16], 4));
    requiresGrad_(model);
    convertToFloat8Training(model);
    expect(model.embed.weight).toBe(model.head.weight);
    const ids = tensor(rt, [...Array(16).keys()], { dtype: int32 });
    backward(mean(model.call(ids)));
    const [[name, w]] = trainableParameters(model) as [[string, Tensor]];
    expect(name).toBe('embed.weight');
    expect(Array.from(await w.grad!.data(), Number).some((v) => v !== 0)).toBe(true);
    expect(await dequantize(model.head.weight).bits()).toEqual(await w.bits());
  });

  const optimizers: Readonly<Record<string, (p: Tensor[]) => Optimizer<object>>> = {
    AdamW8bit: (p) => new AdamW8bit(p, { lr: 0.01 }),
    AdamW4bit: (p) => new AdamW4bit(p, { lr: 0.01 }),
    AdamWFp8: (p) => new AdamWFp8(p, { lr: 0.01 }),
  };
  if (device !== 'reference')
    it.each(Object.entries(optimizers))(
      '%s: a captured step, counts and scales found ahead included, replays to the bits of eager ones',
      async (_, make) => {
        const t = wave(rt, [16, 32], 9);
        const inputs = [1, 2, 3].map((i) => wave(rt, [16, 64], i));
        const begin = () => {
          const model = convertToFloat8Training(new Mlp(rt), {
            countValues: true,
            config: { enableFsdpFloat8AllGather: true },
          });
          const params = trainableParameters(model).map(([, p]) => p);
          const optimizer = make(params);
          optimizer.initState();
          optimizer.zeroGrad();
          const step = (x: Tensor): Tensor[] => {
            const loss = lossOf(model.call(x), t);
            backward(loss);
            optimizer.step();
            optimizer.zeroGrad();
            precomputeFloat8DynamicScale(model);
            return [noGrad(() => mul(loss, 1))];
          };
          return { model, params, step };
        };
        const eager = begin();
        const losses = inputs.map((x) => scope(() => eager.step(x))[0]!);
        const captured = begin();
        const plan = scope(() => rt.capture((x) => captured.step(x!), wave(rt, [16, 64], 0)));
        const replayed: unknown[] = [];
        for (const x of inputs) replayed.push(await scope(() => plan.replay(x))[0]!.bits());
        expect(replayed).toEqual(await bitsOf(losses));
        expect(await bitsOf(captured.params)).toEqual(await bitsOf(eager.params));
        expect(await float8Counts(captured.model)).toEqual(await float8Counts(eager.model));
        expect(Number(await losses[2]!.item())).toBeLessThan(Number(await losses[0]!.item()));
        plan.dispose();
      },
    );
});
