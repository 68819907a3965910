// Every scheme of this package in one extension.
import type { Extension } from '@ao/core';
import { int4 } from './int4.ts';
import { int8 } from './int8.ts';
import { intx } from './intx.ts';

/** `createRuntime({ use: [quantization()] })`. Bundles that need one scheme use int8(), int4() or intx() instead. */
export const quantization = (): Extension => ({
  name: '@ao/quantization',
  entries: [int8(), int4(), intx()].flatMap((extension) => extension.entries),
});
