// The devices that tests of numbers run on, with what they need of a runtime; beside the cpu also cuda, on a GPU or the emulator of its kernels.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createRuntime } from '@ao/core';
import { autograd } from '@ao/core/autograd';
import { cpu } from '@ao/kernels-cpu';
import { cuda } from '@ao/kernels-cuda';
import { openDevices, type TestDevice } from '@ao/testing';
import { optim } from '../src/index.ts';

const use = () => [optim(), autograd()];
const found = await openDevices('optim', use, { cpu, cuda });
export const { native, nativeMissing } = found;

const emulated = fileURLToPath(new URL('../../kernels-cuda/build-emulated/Release/ao_cuda.node', import.meta.url));

async function openCuda(): Promise<TestDevice[]> {
  const open = async () => [
    { device: 'cuda', rt: await createRuntime({ use: [...use(), cuda(), cpu()], device: 'cuda' }) },
  ];
  try {
    return await open();
  } catch (error) {
    if (existsSync(emulated)) {
      process.env['AO_CUDA'] = emulated;
      return open();
    }
    console.warn(`optim: cuda is not tested: ${(error as Error).message}`);
    return [];
  }
}

const beside = native === 'cpu' && nativeMissing === '' ? await openCuda() : [];
export const devices: readonly TestDevice[] = [...found.devices, ...beside];
