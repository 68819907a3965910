// The extension of this package: linears that train in low precision.
import type { Entry, Extension } from '@ao/core';
import { trainingLinearRule } from './training-linear.ts';
import { trainingTensorEntries } from './training-tensor.ts';

const makeEntries = (): readonly Entry[] => [...trainingTensorEntries(), trainingLinearRule()];

const entries = /*@__PURE__*/ makeEntries();

export const float8Training = (): Extension => ({ name: '@ao/float8', entries });
