// Weights in every format on the cpu, packed and plain.
import { createRuntime } from '@ao/core';
import { weightConformance } from '@ao/testing/weights';
import { afterAll } from 'vitest';
import { cpu } from '../index.ts';

const rt = await createRuntime({ use: [cpu()] });
afterAll(() => rt.close());
await weightConformance(rt, 'cpu');
