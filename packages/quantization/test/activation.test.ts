// The fast form of weight-only schemes, int8 activations by group, against exact activations on fixed inputs: at least 40 dB.
import { type Dense, linear, packWeight, philox, type Runtime, tensor } from '@ao/core';
import { describe, expect, it } from 'vitest';
import { computeError, int4WeightOnly, int8WeightOnly, quantizeTensor } from '../src/index.ts';
import { devices } from './devices.ts';

/** Normal values by Box and Muller on Philox words. */
function normal(rt: Runtime, shape: readonly [number, number], seed: number): Dense {
  const values = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => {
    const [a, b] = philox(seed, i, 0);
    return Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32)) * Math.cos((2 * Math.PI * b) / 2 ** 32);
  });
  return tensor(rt, values, { shape });
}

const forms = [
  ['int4, groups of 32', (activation: 'exact' | 'int8-group') => int4WeightOnly({ groupSize: 32, activation })],
  ['int4, groups of 128', (activation: 'exact' | 'int8-group') => int4WeightOnly({ groupSize: 128, activation })],
  ['int8 rows', (activation: 'exact' | 'int8-group') => int8WeightOnly({ activation })],
] as const;

describe.each(devices)('int8-group on $device', ({ rt }) => {
  it.each(forms)('%s', async (_, config) => {
    const weight = normal(rt, [96, 256], 1);
    const x = normal(rt, [8, 256], 2);
    const y = (activation: 'exact' | 'int8-group') => {
      const w = quantizeTensor(weight, config(activation));
      packWeight(rt, w);
      return linear(x, w);
    };
    expect(await computeError(y('exact'), y('int8-group'))).toBeGreaterThan(40);
  });
});
