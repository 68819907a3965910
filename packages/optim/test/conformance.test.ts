// The fused steps on the cpu, eager and replayed, bit for bit those of the reference kernels.
import { opConformance } from '@ao/testing';
import { describe, it } from 'vitest';
import { cpuMissing, devices } from './devices.ts';
import { optimSamples } from './samples.ts';

const on = devices.find(({ device }) => device === 'cpu');
if (on === undefined) console.warn(`not tested on the cpu: ${cpuMissing}`);

describe.runIf(on !== undefined)('fused steps on cpu', () => {
  if (on !== undefined) for (const test of opConformance(on.rt, 'cpu', optimSamples())) it(test.name, test.run);
});
