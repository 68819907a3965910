// Prepare, train, convert: equal bits before and after converting, what is refused, older names, embeddings, saving.
import {
  bfloat16,
  cast,
  dequantize,
  Embedding,
  int32,
  keep,
  Linear,
  linear,
  linearAdd,
  linears,
  Module,
  matmul,
  mul,
  type Runtime,
  sum,
  type Tensor,
  tensor,
  transpose,
} from '@ao/core';
import { backward, grad, noGrad, requiresGrad_, trainableParameters } from '@ao/core/autograd';
import {
  type AoConfig,
  flattenTensorStateDict,
  float8DynamicActivationInt4Weight,
  int4WeightOnly,
  int8DynamicActivationInt8Weight,
  int8DynamicActivationIntxWeight,
  int8WeightOnly,
  intxWeightOnly,
  nvfp4DynamicActivationNvfp4Weight,
  perGroup,
  perTensor,
  quantize_,
} from '@ao/quantization';
import { expectClose } from '@ao/testing';
import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  type ConvertedModel,
  convertFromQat,
  enableFakeQuant,
  FakeQuantizeConfig,
  FakeQuantizedEmbedding,
  FakeQuantizedLinear,
  type FakeQuantizedTensor,
  FromIntXQuantizationAwareTrainingConfig,
  fakeQuantizedKind,
  IntXQuantizationAwareTrainingConfig,
  initializeFakeQuantizers,
  int4WeightFakeQuantize,
  intxFakeQuantize,
  type PreparedModel,
  prepareForQat,
  qat,
} from '../src/index.ts';
import { devices } from './devices.ts';

const K = 64;
const wave = (n: number, seed: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.7 + seed) * (1 + ((i * 7 + seed) % 5)));
const values = (rt: Runtime, shape: number[], seed: number): Tensor =>
  keep(
    tensor(
      rt,
      wave(
        shape.reduce((a, b) => a * b, 1),
        seed,
      ),
      { shape },
    ),
  );

/** Reads its weights as decoders do: by modules and by fused ops. */
class Block extends Module {
  readonly embed: Embedding;
  readonly q: Linear;
  readonly k: Linear;
  readonly out: Linear;
  constructor(rt: Runtime, dtype?: typeof bfloat16) {
    super();
    const make = (shape: number[], seed: number): Tensor => {
      const t = values(rt, shape, seed);
      return dtype === undefined ? t : keep(cast(t, dtype));
    };
    this.embed = new Embedding(make([9, K], 1));
    this.q = new Linear(make([32, K], 2), make([32], 5));
    this.k = new Linear(make([32, K], 3));
    this.out = new Linear(make([K, 32], 4));
  }
  forward(ids: Tensor): Tensor {
    const x = this.embed.call(ids);
    const [q, k] = linears(x, [this.q.weight, this.k.weight], [this.q.bias, undefined]) as [Tensor, Tensor];
    return linearAdd(mul(q, k), this.out.weight, undefined, x);
  }
}

const INTS: Record<string, AoConfig> = {
  int4wo: int4WeightOnly({ groupSize: 32 }),
  int2asym: intxWeightOnly({ weightDtype: 'int2', granularity: perGroup(32), mappingType: 'ASYMMETRIC' }),
  intx4: intxWeightOnly({ weightDtype: 'int4', granularity: perGroup(16) }),
  intx3hqq: intxWeightOnly({
    weightDtype: 'int3',
    granularity: perGroup(32),
    intxChooseQparamsAlgorithm: 'hqq_scale_only',
  }),
  '8da4w': int8DynamicActivationIntxWeight({ weightDtype: 'int4', weightGranularity: perGroup(32) }),
  int8wo: int8WeightOnly(),
  int8woTensor: int8WeightOnly({ granularity: perTensor() }),
  int8dq: int8DynamicActivationInt8Weight(),
  int8dqAsym: int8DynamicActivationInt8Weight({ actMappingType: 'ASYMMETRIC' }),
};

const FLOATS: Record<string, AoConfig> = {
  nvfp4: nvfp4DynamicActivationNvfp4Weight(),
  'nvfp4 without a scale of the tensor': nvfp4DynamicActivationNvfp4Weight({ useDynamicPerTensorScale: false }),
  float8int4: float8DynamicActivationInt4Weight(),
};

const bits = async (t: Tensor): Promise<number[]> => [...(await t.bits())].map(Number);
/** A prepared product is the packed weight's own on the cpu; on cuda that of the dense weight, which sums in another order. */
async function expectSame(got: Tensor, want: ArrayLike<number>): Promise<void> {
  const values = await got.data();
  if (got.device !== 'cuda') return expect(values).toEqual(want);
  const rtol = got.dtype === bfloat16 ? 2 ** -7 : 1e-5;
  expectClose(values, want, { rtol, axis: want.length, why: 'sums in another order' });
}

describe.each(devices)('$device', ({ rt }) => {
  const ids = keep(tensor(rt, [3, 1, 4, 1, 5, 8, 2, 6], { shape: [2, 4], dtype: int32 }));

  it.each(
    Object.keys(INTS).flatMap((name) => [
      [name, 'float32'],
      [name, 'bfloat16'],
    ]),
  )('%s in %s: a prepared forward has the bits of the converted one', async (name, dtype) => {
    const model = new Block(rt, dtype === 'bfloat16' ? bfloat16 : undefined);
    const config = INTS[name]!;
    requiresGrad_(model);
    const report = await quantize_(model, qat(config, { step: 'prepare' }));
    expect(report.rows.filter((r) => r.scheme?.startsWith('qat:')).length).toBe(3);
    expect([model.q, model.k, model.out].every((m) => m instanceof FakeQuantizedLinear)).toBe(true);
    const before = model.call(ids);
    backward(sum(before));
    const named = trainableParameters(model);
    expect(named.map(([n]) => n)).toEqual(['embed.weight', 'q.weight', 'q.bias', 'k.weight', 'out.weight']);
    for (const [n, p] of named) expect(Math.max(...(await p.grad!.data()).map(Math.abs)), n).toBeGreaterThan(0);
    const want = await before.data();
    await quantize_(model, qat(config, { step: 'convert' }));
    expect(model.q.constructor).toBe(Linear);
    expect(model.q.weight.kind?.name).not.toBe('fake_quantized');
    await expectSame(
      noGrad(() => model.call(ids)),
      want,
    );
  });

  it.each(
    Object.keys(FLOATS).flatMap((name) => [
      [name, 'float32'],
      [name, 'bfloat16'],
    ]),
  )('%s in %s: forward is the converted one, gradients are those of the rounded operands', async (name, dtype) => {
    const to = (t: Tensor): Tensor => (dtype === 'bfloat16' ? keep(cast(t, bfloat16)) : t);
    const layer = new Linear(to(values(rt, [32, 128], 2)));
    const [x, g] = [to(values(rt, [5, 128], 7)), to(values(rt, [5, 32], 8))];
    requiresGrad_(layer);
    x.requiresGrad = true;
    await quantize_(layer, qat(FLOATS[name]!));
    const { weight, attrs } = layer.weight as FakeQuantizedTensor;
    const y = layer.call(x);
    const [gx, gw] = grad(y, [x, weight], { gradient: g });
    const [rx, rw] = noGrad(() => [attrs.activation!.forward(x), attrs.weight!.forward(weight)]);
    const want = await bits(y);
    const close = { sqnr: 35, why: 'bfloat16 rounds sums' } as const;
    expectClose(await gx!.data(), await noGrad(() => matmul(g, rw!)).data(), close);
    expectClose(await gw!.data(), await noGrad(() => matmul(transpose(g, 0, 1), rx!)).data(), close);
    expectClose(await y.data(), await noGrad(() => linear(rx!, rw!)).data(), close);
    // rounding did something, and is of four bits
    expect(new Set(await rw!.data()).size).toBeLessThan(new Set(await weight.data()).size);
    await quantize_(layer, qat(FLOATS[name]!, { step: 'convert' }));
    expect(layer.weight.kind).not.toBeNull();
    expect(await bits(noGrad(() => layer.call(x)))).toEqual(want);
    expect(await dequantize(layer.weight).data()).toEqual(await rw!.data());
  });

  it('learned ranges convert to the bits that were trained', async () => {
    const model = new Block(rt);
    requiresGrad_(model);
    const weightConfig = intxFakeQuantize({ dtype: 'int4', groupSize: 32, isDynamic: false, rangeLearning: true });
    await quantize_(model, qat(null, { weightConfig }));
    expect(() => model.call(ids)).toThrow(/initializeFakeQuantizers/);
    initializeFakeQuantizers(model, [ids]);
    const before = model.call(ids);
    backward(sum(before));
    expect(trainableParameters(model).map(([n]) => n)).toContain('q.weight.scale');
    const want = await before.data();
    const base = intxWeightOnly({ weightDtype: 'int4', granularity: perGroup(32) });
    await quantize_(model, qat(base, { step: 'convert' }));
    await expectSame(
      noGrad(() => model.call(ids)),
      want,
    );
  });

  it('runs by the older names: prepare, train, From..., quantize_', async () => {
    const model = new Block(rt);
    requiresGrad_(model);
    const activation = FakeQuantizeConfig({
      dtype: 'int8',
      granularity: 'per_token',
      isSymmetric: false,
      scalePrecision: null,
    });
    const weight = FakeQuantizeConfig({ dtype: 'int4', groupSize: 32 });
    await quantize_(model, IntXQuantizationAwareTrainingConfig(activation, weight));
    const leaf = (model.q.weight as unknown as { weight: Tensor }).weight;
    backward(sum(model.call(ids)));
    await quantize_(model, FromIntXQuantizationAwareTrainingConfig());
    expect(model.q.weight).toBe(leaf);
    const report = await quantize_(model, INTS['8da4w']!);
    expect(report.rows.filter((r) => r.scheme === '8da4w-32').length).toBe(3);
  });

  it('fake-quantizes embeddings that a filter selects, and reads weights as they are while off', async () => {
    const model = new Block(rt);
    const plain = await bits(model.call(ids));
    await quantize_(model, qat(INTS.intx4!), { filterFn: () => true });
    expect(model.embed).toBeInstanceOf(FakeQuantizedEmbedding);
    expect(await bits(model.call(ids))).not.toEqual(plain);
    enableFakeQuant(model, false);
    expect(await bits(model.call(ids))).toEqual(plain);
  });

  it('refuses to train what is converted and to save what is prepared', async () => {
    const model = await prepareForQat(new Block(rt), INTS.intx4!);
    expect(() => flattenTensorStateDict(new Map(model.namedParameters()))).toThrow(/fake_quantized/);
    const converted = await convertFromQat(model, INTS.intx4!);
    expect(() => {
      converted.q.weight.requiresGrad = true;
    }).toThrow(/packed weight|quantized weight/);
    await expect(quantize_(converted, qat(INTS.intx4!, { step: 'convert' }))).rejects.toThrow(/prepare/);
  });
});

it('has a type for each stage', () => {
  expectTypeOf<ConvertedModel<Block>>().not.toExtend<PreparedModel<Block>>();
  expectTypeOf<PreparedModel<Block>>().not.toExtend<ConvertedModel<Block>>();
  expectTypeOf(convertFromQat<Block>)
    .parameter(0)
    .toEqualTypeOf<PreparedModel<Block>>();
});

it('refuses configs that mean nothing', () => {
  const base = INTS.intx4!;
  expect(() => qat(null)).toThrow(/what to round to/);
  expect(() => qat(base, { weightConfig: int4WeightFakeQuantize() })).toThrow(/both given/);
  expect(() => qat(null, { step: 'convert', weightConfig: int4WeightFakeQuantize() })).toThrow(/takes no/);
  expect(() => qat(int4WeightFakeQuantize())).toThrow(/no base config/);
  expect(() => intxFakeQuantize({ dtype: 'int4' })).toThrow(/groups/);
  expect(() => intxFakeQuantize({ dtype: 'int9', groupSize: 32 })).toThrow(/int9/);
  expect(() => intxFakeQuantize({ dtype: 'int4', groupSize: 32, rangeLearning: true })).toThrow(/isDynamic/);
  expect(fakeQuantizedKind.name).toBe('fake_quantized');
});
