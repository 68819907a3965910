// The fused steps on the cpu, eager and replayed, bit for bit those of the reference kernels.
import { opConformance } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import { cpuMissing, devices } from './devices.ts';
import { optimSamples } from './samples.ts';

describe('fused steps on cpu', () => {
  const on = devices.find(({ device }) => device === 'cpu');
  it.runIf(on === undefined)(`skipped: ${cpuMissing}`, () => expect(cpuMissing).not.toBe(''));
  if (on !== undefined) for (const test of opConformance(on.rt, 'cpu', optimSamples())) it(test.name, test.run);
});
