// What autograd gives a runtime; it lives in @ao/core/autograd, so that inference does not carry it.
import { AoError } from './errors.ts';
import type { AnyOp, Args } from './op.ts';
import type { RuntimeImpl } from './runtime.ts';
import type { Tensor } from './tensor.ts';

export interface Tape {
  /** Runs an op of which an argument requires a gradient. */
  record(rt: RuntimeImpl, op: AnyOp, args: Args): unknown;
  /** Checks a change of a leaf's requiresGrad and returns it. */
  leaf(t: Tensor, on: boolean): boolean;
}

/** An output of a recorded call: which one, and where gradients go on from it. */
export interface GradEdge {
  readonly node: { readonly name: string; readonly module: string };
  readonly index: number;
}

export const noTape: Tape = {
  record: (_, op, args) => op(...args),
  leaf(_, on) {
    if (!on) return on;
    throw new AoError('ERR_AO_CONFIG', 'this runtime has no autograd', {
      fix: "createRuntime({ use: [autograd(), ...] }) with autograd from '@ao/core/autograd'",
    });
  },
};
