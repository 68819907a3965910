// Integer fake quantization of groups of a row, of rows, or of the whole tensor, with scales found anew from the values.
import { type FakeGroups, fakeQuantizeGroups, fakeQuantizeGroupsGrad, reshape, type Tensor } from '@ao/core';
import type { FakeQuantizer } from './fake-quantizer.ts';

export interface GroupsOptions extends FakeGroups {
  /** One scale for all values. */
  readonly whole?: boolean | undefined;
}

export function groups({ whole = false, ...options }: GroupsOptions): FakeQuantizer {
  const flat = (x: Tensor): Tensor => (whole ? reshape(x, [1, -1]) : x);
  return {
    forward: (x) => reshape(fakeQuantizeGroups(flat(x), options), [...x.shape]),
    backward: (g, x) => reshape(fakeQuantizeGroupsGrad(flat(g), flat(x), options), [...x.shape]),
  };
}
