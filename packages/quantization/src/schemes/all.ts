// Every scheme of this package in one extension.
import type { Entry, Extension } from '@ao/core';
import { watchedEntries } from '../analyze/watched-tensor.ts';
import { rotatedEntries } from '../calibrate/rotated-tensor.ts';
import { codedKindEntries } from '../kinds/coded-tensor.ts';
import { permutedKindEntries } from '../kinds/permuted-tensor.ts';
import { observedEntries } from '../observe/observed-tensor.ts';
import { quantKernels } from '../reference/kernels.ts';
import { floats } from './floats.ts';
import { int4 } from './int4.ts';
import { int8 } from './int8.ts';
import { int8Dynamic, int8Static } from './int8-dynamic.ts';
import { int8DynamicIntx } from './int8-dynamic-intx.ts';
import { intx } from './intx.ts';

const makeEntries = (): readonly Entry[] => [
  ...new Set(
    [int8(), int8Dynamic(), int8Static(), int4(), intx(), int8DynamicIntx(), ...floats()].flatMap((e) => e.entries),
  ),
  ...codedKindEntries(),
  ...permutedKindEntries(),
  ...quantKernels(),
  ...observedEntries(),
  ...watchedEntries(),
  ...rotatedEntries(),
];

const entries = /*@__PURE__*/ makeEntries();

/**
 * `createRuntime({ use: [quantization()] })`: all schemes, and fast reference kernels of the primitives. Bundles that need
 * one scheme use int8(), int8Dynamic(), int8Static(), int4(), intx(), int8DynamicIntx(), float8(), ... instead.
 */
export const quantization = (): Extension => ({ name: '@ao/quantization', entries });
