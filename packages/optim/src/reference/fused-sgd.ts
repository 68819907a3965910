// fused_sgd_ on the reference backend, one rounding to float32 an operation; formulas in core's ops/optim/fused-sgd.ts.
import { type Dense, fusedSgd_, type KernelEntry, kernel, store, valuesOf } from '@ao/core';

const f32 = Math.fround;

export const fusedSgdReference = (): KernelEntry[] => [
  kernel(fusedSgd_, 'reference', (param, _, grad, buffer, step, lr, o) => {
    const made = valuesOf(step)[0]!;
    const [decay, momentum, rate] = [f32(o.weightDecay), f32(o.momentum), valuesOf(lr)[0]!];
    const weight = made === 0 ? 1 : f32(1 - o.dampening);
    const p = Float32Array.from(valuesOf(param));
    const b = buffer && Float32Array.from(valuesOf(buffer as Dense));
    for (const [i, gradient] of valuesOf(grad).entries()) {
      let g = f32(gradient + f32(decay * p[i]!));
      if (b) {
        b[i] = f32(f32(momentum * b[i]!) + f32(weight * g));
        g = o.nesterov ? f32(g + f32(momentum * b[i]!)) : b[i]!;
      }
      p[i] = f32(p[i]! - f32(rate * g));
    }
    store(param, p);
    if (b) store(buffer as Dense, b);
    store(step, [made + 1]);
  }),
];
