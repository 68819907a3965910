// The fused steps on the native devices, eager and replayed, against the reference kernels: on the cpu bit for bit.
import { opConformance } from '@ao/testing';
import { describe, it } from 'vitest';
import { devices } from './devices.ts';
import { optimSamples } from './samples.ts';

for (const { rt, device } of devices.filter((on) => on.device !== 'reference')) {
  describe(`fused steps on ${device}`, () => {
    for (const test of opConformance(rt, device, optimSamples())) it(test.name, test.run);
  });
}
