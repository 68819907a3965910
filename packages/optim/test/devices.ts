// The devices that tests of numbers run on, with what they need of a runtime.
import { autograd } from '@ao/core/autograd';
import { cpu } from '@ao/kernels-cpu';
import { cuda } from '@ao/kernels-cuda';
import { openDevices } from '@ao/testing';
import { optim } from '../src/index.ts';

export const { devices, native, nativeMissing } = await openDevices('optim', () => [optim(), autograd()], {
  cpu,
  cuda,
});
