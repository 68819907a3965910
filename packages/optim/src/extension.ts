// What @ao/optim brings to a runtime: the kinds of its state, and the reference kernels of its steps.
import { type Entry, type Extension, kindEntry } from '@ao/core';
import { fusedAdamReference } from './reference/fused-adam.ts';
import { fusedSgdReference } from './reference/fused-sgd.ts';
import { optimState4bitKind, optimState8bitKind, optimStateFp8Kind } from './state/state-kinds.ts';

const makeEntries = (): readonly Entry[] => [
  kindEntry(optimState8bitKind),
  kindEntry(optimState4bitKind),
  kindEntry(optimStateFp8Kind),
  ...fusedAdamReference(),
  ...fusedSgdReference(),
];

const entries = /*@__PURE__*/ makeEntries();

/** `createRuntime({ use: [optim()] })`. */
export const optim = (): Extension => ({ name: '@ao/optim', entries });
