// The devices that tests of numbers run on, with what they need of a runtime.
import { autograd } from '@ao/core/autograd';
import { cpu } from '@ao/kernels-cpu';
import { cuda } from '@ao/kernels-cuda';
import { openDevices } from '@ao/testing';
import { quantization } from '../src/index.ts';

export const { devices, native, nativeMissing, backends } = await openDevices(
  'quantization',
  () => [autograd(), quantization()],
  { cpu, cuda },
);
