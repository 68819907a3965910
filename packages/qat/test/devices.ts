// The devices that tests of numbers run on: the reference backend, and the cpu where its native part is built.
import { createRuntime, isAoError, type Runtime } from '@ao/core';
import { autograd } from '@ao/core/autograd';
import { cpu } from '@ao/kernels-cpu';
import { optim } from '@ao/optim';
import { quantization } from '@ao/quantization';
import { qat } from '../src/index.ts';

export interface TestDevice {
  readonly device: string;
  readonly rt: Runtime;
}

const use = () => [autograd(), quantization(), qat(), optim()];

async function open(): Promise<TestDevice[]> {
  const found = [{ device: 'reference', rt: await createRuntime({ use: use(), device: 'reference' }) }];
  try {
    return [...found, { device: 'cpu', rt: await createRuntime({ use: [...use(), cpu()] }) }];
  } catch (error) {
    if (!isAoError(error)) throw error;
    console.warn(`qat: the cpu is not tested: ${error.message}`);
    return found;
  }
}

export const devices = await open();
