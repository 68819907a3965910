// The devices that tests of numbers run on: the reference backend, and the cpu where its native part is built.
import { createRuntime, isAoError, type Runtime } from '@ao/core';
import { autograd } from '@ao/core/autograd';
import { cpu } from '@ao/kernels-cpu';
import { quantization } from '../src/index.ts';

export interface TestDevice {
  readonly device: string;
  readonly rt: Runtime;
}

/** Why the cpu is not among them. */
export let cpuMissing = '';

async function open(): Promise<TestDevice[]> {
  const use = [autograd(), quantization()];
  const found = [{ device: 'reference', rt: await createRuntime({ use, device: 'reference' }) }];
  try {
    return [...found, { device: 'cpu', rt: await createRuntime({ use: [...use, cpu()] }) }];
  } catch (error) {
    if (!isAoError(error)) throw error;
    cpuMissing = error.message;
    return found;
  }
}

export const devices = await open();
