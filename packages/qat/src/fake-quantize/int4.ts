// int4 weights as int4WeightOnly makes them (core's fakeQuantizeInt4), and torchao's form for float8 activations, rounded to float8 first:
//   s = max(amax / 8, 1e-6),  w' = clamp(round(w * (1 / s)), -8, 7) s, the gradient through s too
import {
  abs,
  amax,
  cast,
  clamp,
  div,
  fakeQuantizeInt4,
  fakeQuantizeInt4Grad,
  float8_e4m3fn,
  float32,
  maximum,
  mul,
  reciprocal,
  reshape,
  type Tensor,
} from '@ao/core';
import { detach, enableGrad, grad } from '@ao/core/autograd';
import type { FakeQuantizer } from './fake-quantizer.ts';
import { roundToFloat8 } from './float8.ts';
import { roundThrough } from './round.ts';

/** A fake quantizer by a composition whose derivative is its gradient. */
const differentiated = (f: (x: Tensor) => Tensor): FakeQuantizer => ({
  forward: f,
  backward(g, x) {
    const leaf = detach(x);
    leaf.requiresGrad = true;
    return grad(
      enableGrad(() => f(leaf)),
      [leaf],
      { gradient: g },
    )[0]!;
  },
});

export const int4Rows = (groupSize: number): FakeQuantizer => ({
  forward: (w) => fakeQuantizeInt4(w, groupSize),
  backward: (g, w) => fakeQuantizeInt4Grad(g, w, groupSize),
});

export const int4Float8 = (groupSize: number): FakeQuantizer =>
  differentiated((w) => {
    const rounded = roundToFloat8(w, [1, w.shape[1]!], float8_e4m3fn, 1e-12, null);
    const x = reshape(cast(rounded, float32), [w.shape[0]!, -1, groupSize]);
    const scale = maximum(div(amax(abs(x), 2, true), 8), 1e-6);
    const q = clamp(roundThrough(mul(x, reciprocal(scale))), -8, 7);
    return cast(reshape(mul(q, scale), [...w.shape]), w.dtype);
  });
