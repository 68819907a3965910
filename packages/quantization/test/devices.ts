// The devices that tests of numbers run on, with what they need of a runtime.
import { autograd } from '@ao/core/autograd';
import { cpu } from '@ao/kernels-cpu';
import { openDevices } from '@ao/testing';
import { quantization } from '../src/index.ts';

export const { devices, cpuMissing } = await openDevices('quantization', () => [autograd(), quantization()], cpu);
