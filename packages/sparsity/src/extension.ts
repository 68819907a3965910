// The extension of this package: kinds, schemes and derivatives of sparse weights.
import type { Entry, Extension } from '@ao/core';
import { blockSparseEntries } from './block-sparse/block-sparse-tensor.ts';
import { prunedEntries } from './masks/pruned-weight.ts';
import { supermaskRule } from './masks/supermask.ts';
import { schemeEntries } from './schemes.ts';
import { sparse24Entries } from './sparse24/sparse24-tensor.ts';
import { sparsifyRule } from './training/semi-structured-sparsify.ts';

const makeEntries = (): readonly Entry[] => [
  ...sparse24Entries(),
  ...blockSparseEntries(),
  ...schemeEntries(),
  ...prunedEntries(),
  supermaskRule(),
  sparsifyRule(),
];

const entries = /*@__PURE__*/ makeEntries();

/** `createRuntime({ use: [quantization(), sparsity(), cpu()] })`; with autograd() too where something trains. */
export const sparsity = (): Extension => ({ name: '@ao/sparsity', entries });
