// Samples: argument generators of ops. One table feeds conformance on every backend, gradient checks and benchmarks.
import type { DType } from './dtype.ts';
import type { AnyOp, Args } from './op.ts';
import type { Tensor } from './tensor.ts';

export interface FillOptions {
  readonly dtype?: DType;
  /** normal: mean 0, deviation 1; uniform: [low, high); integer: whole numbers in [low, high). Or the values themselves. */
  readonly fill?: 'normal' | 'uniform' | 'integer' | readonly number[];
  readonly low?: number;
  readonly high?: number;
}

/** Makes a tensor on the device under test; the same calls give the same values everywhere. */
export type Make = (shape: readonly number[], options?: FillOptions) => Tensor;

/** How far a backend may be from the reference: |a - b| <= rtol * max(|b|, rms of b over its last axis), plus ulps. */
export interface Tolerance {
  readonly ulps?: number;
  readonly rtol?: number;
  readonly why: string;
}

export interface OpSample {
  readonly name: string;
  args(make: Make): Args;
  /** Absent: equal bits. */
  readonly tolerance?: Tolerance;
  /** The op throws ERR_AO_SHAPE for strided arguments, as it writes one of them beside its output. */
  readonly refusesStrided?: true;
}

export interface OpSamples {
  readonly op: AnyOp;
  readonly samples: readonly OpSample[];
}

export function samples(op: AnyOp, list: readonly OpSample[]): OpSamples {
  return { op, samples: list };
}
