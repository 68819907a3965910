// The extension of this package: linears that train in low precision.
import type { Entry, Extension } from '@ao/core';
import { trainingConfigEntries } from './convert-scheme.ts';
import { trainingLinearRule } from './training-linear.ts';
import { trainingTensorEntries } from './training-tensor.ts';

const makeEntries = (): readonly Entry[] => [
  ...trainingTensorEntries(),
  trainingLinearRule(),
  ...trainingConfigEntries(),
];

const entries = /*@__PURE__*/ makeEntries();

export const float8Training = (): Extension => ({ name: '@ao/float8', entries });
