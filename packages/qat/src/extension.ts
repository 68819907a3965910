// The extension of this package.
import type { Extension } from '@ao/core';
import { loraEntries } from './lora/lora-tensor.ts';

/** Adapters of low rank: `createRuntime({ use: [autograd(), quantization(), qat(), cpu()] })`. */
export const qat = (): Extension => ({ name: '@ao/qat', entries: [...loraEntries()] });
