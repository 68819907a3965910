// The fused steps on the native device, eager and replayed, bit for bit those of the reference kernels.
import { opConformance } from '@ao/testing';
import { describe, it } from 'vitest';
import { devices, native, nativeMissing } from './devices.ts';
import { optimSamples } from './samples.ts';

const on = devices.find(({ device }) => device === native);
if (on === undefined) console.warn(`not tested on ${native}: ${nativeMissing}`);

describe.runIf(on !== undefined)(`fused steps on ${native}`, () => {
  if (on !== undefined) for (const test of opConformance(on.rt, native, optimSamples())) it(test.name, test.run);
});
