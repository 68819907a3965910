// The devices that tests of numbers run on, with what they need of a runtime.
import { autograd } from '@ao/core/autograd';
import { cpu } from '@ao/kernels-cpu';
import { cuda } from '@ao/kernels-cuda';
import { optim } from '@ao/optim';
import { quantization } from '@ao/quantization';
import { openDevices } from '@ao/testing';
import { qat } from '../src/index.ts';

export const { devices, native, backends } = await openDevices(
  'qat',
  () => [autograd(), quantization(), qat(), optim()],
  {
    cpu,
    cuda,
  },
);
