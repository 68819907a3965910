// Golden cases of family sparsity whose results are kinds: what torchao 0.18 keeps, and how it lays it out.
import {
  bfloat16,
  cast,
  contiguous,
  type Dense,
  fromBits,
  Linear,
  linear,
  mul,
  ne,
  sum,
  transpose,
  uint8,
} from '@ao/core';
import { backward } from '@ao/core/autograd';
import { expectGolden, goldenCase, goldenCases } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import {
  applyFakeSparsity,
  type BlockSparseTensor,
  blockSparseWeight,
  fromCutlass,
  maskOf,
  pruneTile4x4,
  SupermaskLinear,
  semiSparseWeight,
  sparse24Tensor,
  sparsify_,
  toCutlass,
  wandaScores,
} from '../src/index.ts';
import { devices, inputs } from './devices.ts';

describe.each(devices)('torchao on $device', ({ rt }) => {
  it.each(goldenCases('sparsity/magnitude_2of4').map((c) => c.name))('%s', async (name) => {
    const c = goldenCase(name);
    const { weight } = await inputs(rt, c);
    const model = new Linear(weight!);
    applyFakeSparsity(model);
    const pruned = model.weight as Dense;
    await expectGolden(c, { pruned, mask: cast(ne(pruned, 0), uint8) as Dense });
    const kept = await pruned.data();
    await sparsify_(model, semiSparseWeight());
    expect((await model.weight.data()).map((v) => v + 0)).toEqual(kept.map((v) => v + 0));
  });

  it('sparsity/tile4x4', async () => {
    const c = goldenCase('sparsity/tile4x4');
    const { weight } = await inputs(rt, c);
    const pruned = pruneTile4x4(cast(weight!, bfloat16), '');
    const [a, b] = [sparse24Tensor(pruned as Dense), sparse24Tensor(contiguous(transpose(pruned, 0, 1)) as Dense)];
    const [own, turned] = [await toCutlass(a), await toCutlass(b)];
    const int16 = (meta: { data: ArrayLike<number>; shape: readonly number[] }) => ({
      dtype: 'int16',
      shape: meta.shape,
      bits: Int32Array.from(meta.data),
    });
    await expectGolden(c, {
      pruned,
      packed: own.packed,
      meta: int16(own.meta),
      packed_t: turned.packed,
      meta_t: int16(turned.meta),
    });
    const back = fromCutlass(own.packed, own.meta.data);
    expect(await rt.dequantize(back).bits()).toEqual(await pruned.bits());
  });

  it.each(goldenCases('sparsity/block_sparse').map((c) => c.name))('%s', async (name) => {
    const c = goldenCase(name);
    const { weight, x } = await inputs(rt, c);
    const model = new Linear(weight!);
    await sparsify_(model, blockSparseWeight({ blocksize: c.params.blocksize }));
    const t = model.weight as BlockSparseTensor;
    const int64 = async (part: BlockSparseTensor['crow']) => ({
      dtype: 'int64',
      shape: part.shape,
      bits: BigInt64Array.from(Array.from(await part.bits(), BigInt)),
    });
    await expectGolden(c, {
      crow: await int64(t.crow),
      col: await int64(t.col),
      values: t.values as never,
      y: linear(x!, t) as never,
    });
  });

  it.each([
    ['sparsity/wanda/half_of_layer', true, { sparsity: 0.5, over: 'layer' }],
    ['sparsity/wanda/2of4', true, '2:4'],
    ['sparsity/wanda/paper_row', false, { sparsity: 0.5, over: 'row' }],
  ] as const)('%s', async (name, squared, pattern) => {
    const c = goldenCase(name);
    const { weight, x } = await inputs(rt, c);
    const squares = sum(mul(x!, x!), 0);
    const [N, K] = weight!.shape as [number, number];
    const scores = wandaScores(Float32Array.from(await weight!.data()), await squares.data(), squared);
    const mask = fromBits(rt, maskOf(scores, N, K, pattern), [N, K], uint8);
    await expectGolden(c, squared ? { norm_squared: squares as Dense, mask } : { mask });
  });

  it.each(goldenCases('sparsity/supermask').map((c) => c.name))('%s', async (name) => {
    const c = goldenCase(name);
    const { weight, bias, scores, x, gy } = await inputs(rt, c);
    for (const p of [weight!, scores!]) p.requiresGrad = true;
    const layer = new SupermaskLinear(weight!, bias, scores!, c.params.sparsity_level, c.params.blocksize);
    const y = layer.call(x!);
    backward(sum(mul(y, gy!)));
    await expectGolden(c, {
      mask: layer.getMask() as Dense,
      y: y as Dense,
      grad_weight: weight!.grad as Dense,
      grad_scores: scores!.grad as Dense,
    });
  });
});
