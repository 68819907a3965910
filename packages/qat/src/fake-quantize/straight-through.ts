// A value computed from x whose gradient is x's.
import type { Tensor } from '@ao/core';
import { fakeQuantize } from './fake-quantizer.ts';

export const straightThrough = (x: Tensor, f: () => Tensor): Tensor =>
  fakeQuantize(x, { forward: f, backward: (g) => g });
