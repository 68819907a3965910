// The devices that tests of numbers run on, with what they need of a runtime.
import type { Extension } from '@ao/core';
import { autograd } from '@ao/core/autograd';
import { cpu } from '@ao/kernels-cpu';
import { optim } from '@ao/optim';
import { quantization } from '@ao/quantization';
import { openDevices } from '@ao/testing';
import { float8Training } from '../src/index.ts';

export const { devices } = await openDevices(
  'float8',
  () => [autograd(), quantization(), optim(), float8Training()],
  cpu,
);

export const backends = (device: string): Extension[] => (device === 'cpu' ? [cpu()] : []);
