// What conformance cannot see: a head in chunks against the whole, packed heads, plans that draw a mask at each replay.
import * as ao from '@ao/core';
import {
  autograd,
  backward,
  dropout,
  linearCrossEntropy,
  linearCrossEntropyBackward,
  normal_,
  uniform_,
} from '@ao/core/autograd';
import { expect, it } from 'vitest';
import { cpu } from '../index.ts';

const rt = await ao.createRuntime({ use: [cpu(), autograd()] });
const state = (seed: number, call = 0) => ao.tensor(rt, [seed, call], { dtype: ao.int32 });
const normals = (shape: readonly number[], seed: number) => normal_(ao.empty(rt, shape), 0, 1, state(seed));

it('linearCrossEntropy in chunks of rows gives what the whole head gives', async () => {
  const [rows, dim, vocab] = [66, 2, 2 ** 18]; // two chunks
  const [x, w] = [normals([rows, dim], 1), normals([vocab, dim], 2)];
  const targets = ao.tensor(
    rt,
    Array.from({ length: rows }, (_, i) => (i === 7 ? -100 : (i * 2011) % vocab)),
    { dtype: ao.int32 },
  );
  const g = uniform_(ao.empty(rt, [rows]), 0.5, 1, state(3));
  const nll = await linearCrossEntropy(x, w, targets).data();
  for (const t of [x, w]) t.requiresGrad = true;
  const whole = ao.negativeLogLikelihood(ao.linear(x, w), targets, -100);
  backward(whole, { gradient: g });
  expect(nll).toEqual(await whole.data());
  for (const t of [x, w]) t.requiresGrad = false;
  const [dx, dw] = linearCrossEntropyBackward(g, x, [w], targets, -100);
  expect(await dx.data()).toEqual(await x.grad!.data());
  const [one, other] = [await dw.data(), await w.grad!.data()];
  let most = 0;
  for (let i = 0; i < one.length; i++) most = Math.max(most, Math.abs(Number(one[i]) - Number(other[i])));
  expect(most).toBeLessThan(1e-6); // chunks are sums of their own
  const [, frozen] = linearCrossEntropyBackward(g, x, [w], targets, -100, [true, false]);
  expect(frozen.shape).toEqual([0]);
});

it('reads a packed head as it is', async () => {
  const [x, w] = [normals([40, 64], 4), normals([96, 64], 5)];
  const targets = ao.tensor(
    rt,
    Array.from({ length: 40 }, (_, i) => (i * 37) % 96),
    { dtype: ao.int32 },
  );
  const plain = await linearCrossEntropy(x, w, targets).data();
  expect(ao.packWeight(rt, w)).toBe(true);
  expect(await linearCrossEntropy(x, w, targets).data()).toEqual(plain);
  x.requiresGrad = true;
  backward(ao.sum(linearCrossEntropy(x, w, targets)));
  expect(x.grad!.shape).toEqual([40, 64]);
});

it('a plan draws another mask at each replay, those of eager calls', async () => {
  const x = ao.ones(rt, [300]);
  const own = state(11);
  const plan = rt.capture((input) => [dropout(input!, 0.5, own)[0]], x);
  const masks: unknown[] = [];
  for (let i = 0; i < 2; i++) masks.push(await plan.replay(x)[0]!.data());
  const eager = state(11);
  for (let i = 0; i < 2; i++) expect(masks[i]).toEqual(await dropout(x, 0.5, eager)[0].data());
  expect(masks[0]).not.toEqual(masks[1]);
  plan.dispose();
});
