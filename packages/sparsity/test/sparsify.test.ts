// sparsify_, the kinds, their files and what they compose with: every product equals that of the dense weight of the same values.
import {
  bfloat16,
  cast,
  clone,
  type Dense,
  float32,
  keep,
  Linear,
  linear,
  Module,
  type Runtime,
  type Tensor,
} from '@ao/core';
import {
  configFromDict,
  configToDict,
  flattenTensorStateDict,
  int4WeightOnly,
  int8DynamicActivationInt8Weight,
  int8WeightOnly,
  quantize_,
  unflattenTensorStateDict,
} from '@ao/quantization';
import { describe, expect, it } from 'vitest';
import {
  applyFakeSparsity,
  type BlockSparseTensor,
  blockSparseWeight,
  denseOf,
  float8DynamicActivationFloat8SemiSparseWeight,
  fromCusparseLt,
  int4WeightOnlySemiSparseWeight,
  int8DynamicActivationInt8SemiSparseWeight,
  type Sparse24Tensor,
  semiSparseWeight,
  sparse24Kind,
  sparse24Tensor,
  sparsify_,
  toCusparseLt,
  WeightNormSparsifier,
} from '../src/index.ts';
import { devices, wave } from './devices.ts';

class Two extends Module {
  readonly fc1: Linear;
  readonly fc2: Linear;
  constructor(rt: Runtime) {
    super();
    this.fc1 = new Linear(wave(rt, [48, 64]), wave(rt, [48], 3));
    this.fc2 = new Linear(wave(rt, [32, 48], 1));
  }
  forward(x: Dense) {
    return this.fc2.call(this.fc1.call(x));
  }
}

const schemes = [
  ['sparse24', semiSparseWeight()],
  ['sparse24-int8dq', int8DynamicActivationInt8SemiSparseWeight()],
  ['sparse24-int8wo', semiSparseWeight({ values: int8WeightOnly() })],
  ['sparse24-intx4-8', int4WeightOnlySemiSparseWeight({ groupSize: 16 })],
  ['sparse24-float8dq', float8DynamicActivationFloat8SemiSparseWeight()],
] as const;

describe.each(devices)('sparsify_ on $device', ({ rt }) => {
  it.each(schemes)('%s equals its dense form, and comes back from a file', async (_, config) => {
    const model = new Linear(wave(rt, [48, 96]), wave(rt, [48], 3));
    const report = await sparsify_(model, config);
    expect(report.rows[0]!.scheme).toMatch(/^sparse24/);
    expect(report.bytesAfter).toBeLessThan(0.6 * report.bytesBefore);
    const t = model.weight as Sparse24Tensor;
    const plain = sparse24Kind.make({ values: t.values, meta: t.meta }, {}, t.shape, t.dtype);
    for (const rows of [1, 3, 40]) {
      const x = wave(rt, [rows, 96], rows);
      const want = await linear(x, denseOf(plain), model.bias).data();
      const got = await model.call(x).data();
      let most = 0;
      for (const v of want) most = Math.max(most, Math.abs(v));
      for (const [i, v] of want.entries()) expect(Math.abs(got[i]! - v)).toBeLessThanOrEqual(most * 2e-3);
    }
    const { tensors, metadata } = flattenTensorStateDict(new Map([['fc.weight', t]]));
    const { dict } = await unflattenTensorStateDict(rt, tensors, metadata);
    const back = dict.get('fc.weight')!;
    expect(back.kind?.name).toBe('sparse24');
    expect(await back.data()).toEqual(await t.data());
    expect(configFromDict(configToDict(config, rt), rt)).toEqual(config);
  });

  it('gives the bits of the pruned dense weight, whatever is packed', async () => {
    const [sparse, dense] = [new Two(rt), new Two(rt)];
    applyFakeSparsity(dense);
    await sparsify_(sparse, int8DynamicActivationInt8SemiSparseWeight());
    await quantize_(dense, int8DynamicActivationInt8Weight());
    for (const rows of [1, 2, 5, 33]) {
      const x = wave(rt, [rows, 64], rows);
      expect(await sparse.call(x).data()).toEqual(await dense.call(x).data());
    }
    const again = await quantize_(sparse, int8WeightOnly());
    expect(again.rows.map((r) => r.skipped)).toEqual(['already quantized (sparse24)', 'already quantized (sparse24)']);
  });

  it('refuses what has zero points, and columns that do not fit, before any work', async () => {
    const model = new Linear(wave(rt, [8, 64]));
    await expect(sparsify_(model, semiSparseWeight({ values: int4WeightOnly({ groupSize: 32 }) }))).rejects.toThrow(
      /zero points/,
    );
    await expect(sparsify_(new Linear(wave(rt, [8, 12])), semiSparseWeight())).rejects.toThrow(/multiple of 8/);
    await expect(sparsify_(model, blockSparseWeight({ blocksize: 24 }))).rejects.toThrow(/do not fill weight/);
    expect(model.weight.kind).toBeNull();
  });

  it('block-sparse weights give the dense product and come back from a file', async () => {
    for (const dtype of [float32, bfloat16]) {
      const weight = keep(cast(wave(rt, [96, 128]), dtype)) as Dense;
      const model = new Linear(weight, keep(cast(wave(rt, [96], 2), dtype)));
      const sparsifier = new WeightNormSparsifier({ sparsityLevel: 0.75, sparseBlockShape: [16, 16] });
      sparsifier.prepare(model);
      await sparsifier.step();
      sparsifier.squashMask();
      const dense = keep(clone(model.weight)) as Dense;
      await sparsify_(model, blockSparseWeight({ blocksize: 16 }));
      const t = model.weight as BlockSparseTensor;
      expect(t.values.shape[0]).toBe(12);
      for (const rows of [1, 37]) {
        const x = keep(cast(wave(rt, [rows, 128], 5), dtype));
        const [got, want] = [await model.call(x).data(), await linear(x, dense, model.bias).data()];
        const slack = dtype === float32 ? 1e-4 : 0.1;
        for (const [i, v] of want.entries()) expect(Math.abs(got[i]! - v)).toBeLessThanOrEqual(slack);
      }
      const { tensors, metadata } = flattenTensorStateDict(new Map([['weight', t]]));
      const { dict } = await unflattenTensorStateDict(rt, tensors, metadata);
      const positive = async (w: Tensor) => (await w.data()).map((v) => v + 0);
      expect(await positive(dict.get('weight')!)).toEqual(await positive(dense));
    }
  });

  it("cuSPARSELt's bytes hold the weight", async () => {
    const t = sparse24Tensor(keep(cast(wave(rt, [256, 128]), bfloat16)) as Dense);
    const bytes = await toCusparseLt(t);
    expect(bytes.length).toBe((256 * 128 * 9) / 8);
    const back = fromCusparseLt(bytes, [256, 128], t);
    expect(await back.data()).toEqual(await t.data());
    await expect(toCusparseLt(sparse24Tensor(keep(cast(wave(rt, [64, 64]), bfloat16)) as Dense))).rejects.toThrow(
      /128 n rows/,
    );
  });
});
