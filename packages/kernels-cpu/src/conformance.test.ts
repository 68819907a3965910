// Every sample of every op of core, eager, strided and replayed, against the reference backend.
import { createRuntime } from '@ao/core';
import { opSamples } from '@ao/core/samples';
import { opConformance } from '@ao/testing';
import { describe, it } from 'vitest';
import { cpu } from './index.ts';

const rt = await createRuntime({ use: [cpu()] });

describe('ops on cpu', () => {
  for (const test of opConformance(rt, 'cpu', opSamples())) it(test.name, test.run);
});
