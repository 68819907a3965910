// The extension of this package: kinds of sharded and parallel weights, and derivatives of what ranks exchange.
import type { Entry, Extension } from '@ao/core';
import { exchangeEntries } from './parallel/exchange.ts';
import { parallelEntries } from './parallel/parallel-tensor.ts';
import { float8GatherEntries } from './sharded/float8-gather.ts';
import { readerEntries } from './sharded/readers.ts';
import { shardedEntries } from './sharded/sharded-tensor.ts';

const makeEntries = (): readonly Entry[] => [
  ...shardedEntries(),
  ...readerEntries(),
  ...float8GatherEntries(),
  ...exchangeEntries(),
  ...parallelEntries(),
];

const entries = /*@__PURE__*/ makeEntries();

/** Sharded and tensor parallel models: createRuntime({ use: [autograd(), cpu(), distributed()] }). */
export const distributed = (): Extension => ({ name: '@ao/distributed', entries });
