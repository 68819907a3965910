// Initial values, dropout through backward, clipping, and the refusals of the ops of training, on the reference backend.
import { expect, it } from 'vitest';
import { empty, ones, tensor, zeros } from '../../create.ts';
import { bfloat16, int32 } from '../../dtypes/index.ts';
import { isAoError } from '../../errors.ts';
import { kaimingUniform_, normal_, truncNormal_, uniform_, xavierUniform_ } from '../../nn/init.ts';
import { mul } from '../../ops/binary.ts';
import { sum } from '../../ops/reduce.ts';
import { createRuntime } from '../../runtime.ts';
import type { Tensor } from '../../tensor.ts';
import { backward } from '../backward.ts';
import { autograd } from '../extension.ts';
import { clipGradNorm_ } from '../parameters.ts';
import { add_, clipByNorm_, mul_ } from './accumulate.ts';
import { siluMulBackward } from './activation-grad.ts';
import { attentionBackward } from './attention-grad.ts';
import { dropout, dropoutBackward } from './dropout.ts';
import { embeddingGradWeight, gatherBackward } from './indexing-grad.ts';
import { linearCrossEntropy } from './linear-cross-entropy.ts';
import { rmsNormBackward } from './norm-grad.ts';
import { crossEntropyBackward } from './softmax-grad.ts';

const rt = await createRuntime({ use: [autograd()] });
const state = (seed = 5, call = 0) => tensor(rt, [seed, call], { dtype: int32 });
const values = (t: Tensor): number[] => [...t.dataSync()];

it('gives initial values in the ranges of torch.nn.init', () => {
  const s = state();
  const w = empty(rt, [30, 20, 3]);
  const within = (t: Tensor, bound: number): void => {
    const found = values(t).map(Math.abs);
    expect(Math.max(...found)).toBeLessThanOrEqual(bound);
    expect(Math.max(...found)).toBeGreaterThan(bound * 0.98);
  };
  within(kaimingUniform_(w, s), Math.sqrt(6 / 60));
  within(kaimingUniform_(w, s, { a: Math.sqrt(5) }), 1 / Math.sqrt(60));
  within(kaimingUniform_(w, s, { mode: 'fanOut' }), Math.sqrt(6 / 90));
  within(xavierUniform_(w, s, 2), 2 * Math.sqrt(6 / 150));
  expect(values(s)).toEqual([5, 4]);
  const cut = values(truncNormal_(w, 1, 2, 0, 3, s));
  expect(Math.min(...cut)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...cut)).toBeLessThanOrEqual(3);
  const mean = cut.reduce((a, b) => a + b) / cut.length;
  expect(mean).toBeCloseTo(1.3975, 1); // of a normal 1, 2 cut to [0, 3]
  const z = values(normal_(empty(rt, [4000]), 3, 0.5, s));
  expect(z.reduce((a, b) => a + b) / z.length).toBeCloseTo(3, 1);
  expect(Math.sqrt(z.reduce((a, b) => a + (b - 3) ** 2, 0) / z.length)).toBeCloseTo(0.5, 1);
});

it('draws another mask at each call, and the same in backward', () => {
  const s = state();
  const x = ones(rt, [1000]);
  x.requiresGrad = true;
  const [y] = dropout(x, 0.25, s);
  backward(sum(mul(y, 3)));
  expect(values(x.grad!)).toEqual(values(y).map((v) => Math.fround(v * 3)));
  const kept = values(y).filter((v) => v !== 0);
  expect(kept.length / 1000).toBeCloseTo(0.75, 1);
  expect(new Set(kept)).toEqual(new Set([Math.fround(1 / 0.75)]));
  expect(values(s)).toEqual([5, 1]);
  expect(values(dropout(ones(rt, [1000]), 0.25, s)[0])).not.toEqual(values(y));
  expect(values(dropout(ones(rt, [1000]), 0.25, state())[0])).toEqual(values(y));
});

it('clips gradients of several dtypes to one norm', () => {
  const parameters = [zeros(rt, [2]), zeros(rt, [1], { dtype: bfloat16 })];
  parameters[0]!.grad = tensor(rt, [3, 4]);
  parameters[1]!.grad = tensor(rt, [12], { dtype: bfloat16 });
  expect(values(clipGradNorm_(parameters, 26))).toEqual([13]);
  expect(values(parameters[0]!.grad!)).toEqual([3, 4]);
  expect(values(clipGradNorm_(parameters, 6.5))).toEqual([13]);
  expect(values(parameters[0]!.grad!)[0]).toBeCloseTo(1.5, 5);
  expect(values(parameters[1]!.grad!)).toEqual([6]);
});

const x = (...shape: number[]): Tensor => zeros(rt, shape);
const ids = (...shape: number[]): Tensor => zeros(rt, shape, { dtype: int32 });

it.each([
  ['ERR_AO_SHAPE', 'rms_norm_backward', () => rmsNormBackward(x(2, 3), x(2, 4), x(4), 1e-5)],
  ['ERR_AO_SHAPE', 'silu_mul_backward', () => siluMulBackward(x(2), x(2), x(3))],
  ['ERR_AO_DTYPE', 'cross_entropy_backward', () => crossEntropyBackward(x(2), x(2, 5), x(2), -100)],
  ['ERR_AO_SHAPE', 'embedding_grad_weight', () => embeddingGradWeight(x(3, 4), ids(2), 5)],
  ['ERR_AO_SHAPE', 'embedding_grad_weight', () => embeddingGradWeight(x(3, 4), ids(3), 0)],
  ['ERR_AO_SHAPE', 'gather_backward', () => gatherBackward(x(3, 4), 1, ids(3, 4), [2, 9])],
  ['ERR_AO_SHAPE', 'linear_cross_entropy', () => linearCrossEntropy(x(3, 4), x(7, 5), ids(3))],
  ['ERR_AO_CONFIG', 'dropout', () => dropout(x(2), 1, state())],
  ['ERR_AO_SHAPE', 'dropout_backward', () => dropoutBackward(x(2), 0.5, ids(3))],
  ['ERR_AO_SHAPE', 'add_', () => add_(x(2), x(1))],
  ['ERR_AO_SHAPE', 'mul_', () => mul_(x(2), x(2))],
  ['ERR_AO_CONFIG', 'clip_by_norm_', () => clipByNorm_(x(2), x(1), 0)],
  ['ERR_AO_CONFIG', 'uniform_', () => uniform_(x(2), 1, 0, state())],
  ['ERR_AO_CONFIG', 'truncNormal_', () => truncNormal_(x(2), 0, 1, 5, 6, state())],
  ['ERR_AO_SHAPE', 'xavierUniform_', () => xavierUniform_(x(2), state())],
  [
    'ERR_AO_DTYPE',
    'attention_backward',
    () => {
      const [q, k] = [x(1, 2, 1, 4), zeros(rt, [1, 1, 2, 4], { dtype: bfloat16 })];
      return attentionBackward(q, q, k, k, q, undefined, undefined, undefined, {});
    },
  ],
] as const)('%s from %s', (code, op, call) => {
  let error: unknown;
  try {
    call();
  } catch (e) {
    error = e;
  }
  expect(isAoError(error) && [error.code, error.op]).toEqual([code, op]);
});
