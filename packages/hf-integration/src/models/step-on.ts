// stepOn(step): what a step is on each device that layers lie on: positions and filled positions come there, once each. Keys and values are
// where their layers are.
import { toDevice } from '@ao/core';
import type { Step } from './causal-lm.ts';

export function stepOn(step: Step): (device: string) => Step {
  const known = new Map([[step.positions.device, step]]);
  return (device) => {
    let here = known.get(device);
    if (here === undefined) {
      const { cache, positions } = step;
      here = { positions: toDevice(positions, device) };
      if (cache !== undefined) {
        const { keys, values, keyRows, valueRows, length } = cache;
        here = { ...here, cache: { keys, values, keyRows, valueRows, length, pos: toDevice(cache.pos, device) } };
      }
      known.set(device, here);
    }
    return here;
  };
}
