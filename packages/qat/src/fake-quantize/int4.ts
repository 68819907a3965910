// int4 weights as int4WeightOnly makes them, in float32 by groups of a row:
//   s = max(max - min, 1e-6) / 15,  z = min + 8 s,  w' = (clamp(round((w - min) / s), 0, 15) - 8) s + z
// As in torchao the gradient also flows through min, max and s. And torchao's form for float8 activations, rounded to float8 first:
//   s = max(amax / 8, 1e-6),  w' = clamp(round(w * (1 / s)), -8, 7) s
import {
  abs,
  add,
  amax,
  amin,
  cast,
  clamp,
  div,
  float8_e4m3fn,
  float32,
  maximum,
  mul,
  reciprocal,
  reshape,
  sub,
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

export const int4Rows = (groupSize: number): FakeQuantizer =>
  differentiated((w) => {
    const x = reshape(cast(w, float32), [w.shape[0]!, -1, groupSize]);
    const low = amin(x, 2, true);
    const scale = div(maximum(sub(amax(x, 2, true), low), 1e-6), 15);
    const q = sub(clamp(roundThrough(div(sub(x, low), scale)), 0, 15), 8);
    return cast(reshape(add(mul(q, scale), add(low, mul(scale, 8))), [...w.shape]), w.dtype);
  });

export const int4Float8 = (groupSize: number): FakeQuantizer =>
  differentiated((w) => {
    const rounded = roundToFloat8(w, [1, w.shape[1]!], float8_e4m3fn, 1e-12, null);
    const x = reshape(cast(rounded, float32), [w.shape[0]!, -1, groupSize]);
    const scale = maximum(div(amax(abs(x), 2, true), 8), 1e-6);
    const q = clamp(roundThrough(mul(x, reciprocal(scale))), -8, 7);
    return cast(reshape(mul(q, scale), [...w.shape]), w.dtype);
  });
