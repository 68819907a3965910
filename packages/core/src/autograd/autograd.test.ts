// The graph: accumulation, hooks, modes, checkpoints, errors, and a captured training step.
import { expect, it } from 'vitest';
import { tensor } from '../create.ts';
import { bfloat16, float32, float64 } from '../dtypes/index.ts';
import { isAoError } from '../errors.ts';
import { add, div, mul, sub } from '../ops/binary.ts';
import { contiguousOp } from '../ops/contiguous.ts';
import { castTo, clone, copy_, fill_ } from '../ops/copy.ts';
import { linear, linears } from '../ops/matmul.ts';
import { mean, sum } from '../ops/reduce.ts';
import { relu, silu, sqrt } from '../ops/unary.ts';
import { expand, permute, reshape, slice, squeeze, unsqueeze } from '../ops/views.ts';
import { createRuntime } from '../runtime.ts';
import { keep, scope } from '../scope.ts';
import type { Dense, Tensor } from '../tensor.ts';
import { detectAnomaly } from './anomaly.ts';
import { autocast } from './autocast.ts';
import { backward, grad } from './backward.ts';
import { checkpoint } from './checkpoint.ts';
import { autograd } from './extension.ts';
import { detach, noGrad } from './grad-mode.ts';
import { gradcheck } from './gradcheck.ts';
import { registerHook, registerPostAccumulateGradHook } from './hooks.ts';
import { clipGradNorm_, zeroGrad } from './parameters.ts';

const rt = await createRuntime({ use: [autograd()] });

const leaf = (values: number[], shape: number[] = [values.length]): Dense => {
  const t = keep(tensor(rt, values, { shape }));
  t.requiresGrad = true;
  return t;
};
const values = (t: Tensor | null): number[] => [...(t?.dataSync() ?? [])];
const codeOf = (fn: () => unknown): string => {
  try {
    fn();
  } catch (e) {
    if (isAoError(e)) return e.code;
    throw e;
  }
  return 'nothing was thrown';
};

it('gives a leaf the gradient that was made for it, without a copy', () => {
  const [w, both] = [leaf([2, 3]), leaf([4, 5])];
  const seen = new Map<Dense, Tensor>();
  for (const t of [w, both])
    registerHook(t, (g) => {
      seen.set(t, g);
      return g;
    });
  scope(() => backward(sum(add(mul(w, both), both))));
  expect(w.grad).toBe(seen.get(w));
  expect(both.grad).toBe(seen.get(both));
  expect([values(w.grad), values(both.grad)]).toEqual([
    [4, 5],
    [3, 4],
  ]);
});

it('sums over all paths, and over calls of backward', () => {
  const x = leaf([2, 3]);
  const loss = (): Tensor => sum(add(mul(x, x), mul(x, 3)));
  backward(loss());
  expect(values(x.grad)).toEqual([7, 9]);
  backward(loss());
  expect(values(x.grad)).toEqual([14, 18]);
  zeroGrad([x]);
  expect(x.grad).toBeNull();
});

it('gives leaves gradients of their own, also where one gradient goes to several', () => {
  const [a, b] = [leaf([1, 2]), leaf([3, 4])];
  backward(sum(add(a, b)));
  noGrad(() => fill_(a.grad!, 9));
  expect(values(b.grad)).toEqual([1, 1]);
  expect(a.grad!.shape).toEqual([2]);
});

it('frees what it kept: scopes end and memory returns to where it was', () => {
  const x = leaf([1, 2, 3, 4], [2, 2]);
  const w = leaf([1, 0, 0, 1], [2, 2]);
  const live = (): number => rt.backend('reference').memory().live;
  const step = (): void => {
    scope(() => backward(mean(silu(linear(relu(linear(x, w)), w)))));
    zeroGrad([x, w]);
  };
  step();
  const before = live();
  for (let i = 0; i < 5; i++) step();
  expect(live()).toBe(before);
});

it('runs twice only with retainGraph', () => {
  const x = leaf([3]);
  const y = mul(x, x);
  backward(y, { retainGraph: true });
  backward(y);
  expect(values(x.grad)).toEqual([12]);
  expect(codeOf(() => backward(y))).toBe('ERR_AO_DISPOSED');
});

it('refuses what was changed in place after it was saved', () => {
  const x = leaf([1, 2]);
  const y = mul(x, 1);
  const z = mul(y, y);
  noGrad(() => fill_(y, 0));
  expect(codeOf(() => backward(sum(z)))).toBe('ERR_AO_STREAM');
  expect(codeOf(() => copy_(x, y))).toBe('ERR_AO_CONFIG');
});

it('records nothing under noGrad, behind detach, and for constants', () => {
  const x = leaf([1]);
  expect(noGrad(() => mul(x, 2)).requiresGrad).toBe(false);
  expect(mul(detach(x), 2).requiresGrad).toBe(false);
  expect(codeOf(() => backward(noGrad(() => mul(x, 2))))).toBe('ERR_AO_CONFIG');
  expect(codeOf(() => noGrad(async () => 1))).toBe('ERR_AO_CONFIG');
});

it('moves gradients back through views, copies and casts', () => {
  const x = keep(tensor(rt, [1, 2, 3, 4, 5, 6], { shape: [2, 1, 3], dtype: float64 }));
  const { checked } = gradcheck(
    (t) => [
      permute(unsqueeze(squeeze(t, 1), -1), [2, -2, 0]),
      mul(slice(reshape(t, [3, -1]), -1, 0, 2, 2), 2),
      castTo(clone(castTo(expand(t, [2, 2, -1]), float64)), float64),
      contiguousOp(permute(t, [2, 0, 1])),
    ],
    [x],
  );
  expect(checked).toBe(6);
});

it('wants autograd in the runtime, and float leaves', async () => {
  const plain = await createRuntime();
  const t = tensor(plain, [1]);
  expect(() => {
    t.requiresGrad = true;
  }).toThrow(/no autograd.*@ao\/core\/autograd/s);
  const ids = tensor(rt, [1], { dtype: (await import('../dtypes/index.ts')).int32 });
  expect(() => {
    ids.requiresGrad = true;
  }).toThrow(/int32/);
});

it('calls hooks once for each backward, when the gradient is whole', () => {
  const x = leaf([2]);
  const seen: number[] = [];
  registerHook(x, (g) => mul(g, 10));
  const handle = registerPostAccumulateGradHook(x, (t) => void seen.push(...values(t.grad)));
  backward(add(mul(x, x), x));
  expect(seen).toEqual([50]);
  handle.remove();
  backward(mul(x, 1));
  expect(seen).toEqual([50]);
  expect(values(x.grad)).toEqual([60]);
});

it('gives gradients without touching the grad fields', () => {
  const [x, y] = [leaf([2]), leaf([5])];
  const [gx, gy] = grad(mul(x, 3), [x, y]);
  expect(values(gx!)).toEqual([3]);
  expect(gy).toBeNull();
  expect(x.grad).toBeNull();
});

it('computes a checkpoint again, with the same gradients and its parameters included', () => {
  const x = leaf([1, -2, 3, 4], [2, 2]);
  const w = leaf([1, 2, 3, 4], [2, 2]);
  let runs = 0;
  const block = (h: Tensor): Tensor => {
    runs++;
    return scope(() => silu(linear(relu(linear(h, w)), w)));
  };
  backward(sum(block(mul(x, 1))));
  const want = [values(x.grad), values(w.grad)];
  zeroGrad([x, w]);
  runs = 0;
  const out = sum(checkpoint(block, [mul(x, 1)]));
  expect(runs).toBe(1);
  backward(out);
  expect(runs).toBe(2);
  expect([values(x.grad), values(w.grad)]).toEqual(want);
});

it('names the op whose derivative is not finite', () => {
  const x = leaf([0, 4]);
  expect(() => detectAnomaly(() => backward(sum(sqrt(x))))).toThrow(/derivative of sqrt gave Infinity at element 0/);
  expect(() => backward(sum(sqrt(x)))).not.toThrow();
});

it('clips by the norm of all gradients', () => {
  const [a, b] = [leaf([3]), leaf([4])];
  backward(add(mul(mul(a, a), 0.5), mul(mul(b, b), 0.5)));
  expect(clipGradNorm_([a, b], 1).itemSync()).toBeCloseTo(5, 5);
  expect(values(a.grad)[0]).toBeCloseTo(0.6, 5);
  expect(values(b.grad)[0]).toBeCloseTo(0.8, 5);
});

it('autocast runs products in bfloat16 and leaves parameters and their gradients float32', () => {
  const x = leaf([1.001, 2], [1, 2]);
  const w = leaf([1, 1], [1, 2]);
  const out = autocast(bfloat16, () => linears(x, [w]))[0]!;
  expect(out.dtype).toBe(bfloat16);
  backward(sum(mul(out, 1)));
  expect(w.grad!.dtype).toBe(float32);
  expect(values(w.grad)).toEqual([1, 2]);
  expect(noGrad(() => autocast(bfloat16, () => linear(x, w))).dtype).toBe(bfloat16);
});

it('computes a checkpoint again under the autocast of its forward', () => {
  const x = leaf([1.001, 2], [1, 2]);
  const w = leaf([1.003, 1], [1, 2]);
  const seen: string[] = [];
  const block = (h: Tensor): Tensor => {
    const y = linear(h, w);
    seen.push(y.dtype.name);
    return y;
  };
  backward(sum(autocast(bfloat16, () => checkpoint(block, [mul(x, 1)]))));
  expect(seen).toEqual(['bfloat16', 'bfloat16']);
  expect(values(w.grad)).toEqual([1, 2]);
});

it('captures a whole training step: forward, backward and update as one plan', () => {
  const w = leaf([0.5, -0.5], [1, 2]);
  const rate = tensor(rt, [0.1]);
  const step = (x: Tensor, y: Tensor): Tensor => {
    const error = sub(linear(x, w), y);
    const loss = mean(mul(error, error));
    backward(loss);
    noGrad(() => copy_(w, sub(w, mul(w.grad!, rate))));
    zeroGrad([w]);
    return detach(loss);
  };
  const data = (k: number): [Tensor, Tensor] => [
    tensor(rt, [k, 1, 2, k], { shape: [2, 2] }),
    reshape(tensor(rt, [1, k]), [2, 1]),
  ];
  const start = w.dataSync();
  const eager = [1, 2, 3].map((k) => scope(() => step(...data(k)).itemSync()));
  const trained = values(w);
  noGrad(() => copy_(w, tensor(rt, start, { shape: [1, 2] })));
  const plan = rt.capture((x, y) => step(x, y), ...data(1));
  const replayed = [1, 2, 3].map((k) => plan.replay(...data(k))[0]!.itemSync());
  expect(replayed).toEqual(eager);
  expect(values(w)).toEqual(trained);
  expect(values(div(w, 1))).toEqual(trained);
});
