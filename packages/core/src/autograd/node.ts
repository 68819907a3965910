// The graph: one node for each recorded call, with edges to what made its arguments and to leaves.
import { AoError } from '../errors.ts';
import { shared } from '../identity.ts';
import type { GradEdge } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import type { Saved } from './saved.ts';
import type { Grads } from './vjp.ts';

export type Edge = { readonly node: Node; readonly index: number } | { readonly leaf: Tensor } | null;

export interface OutputFacts {
  readonly shape: readonly number[];
  readonly dtype: Tensor['dtype'];
  readonly device: string;
}

let sequence = 0;

export class Node {
  readonly name: string;
  /** Module whose forward ran. */
  readonly module: string;
  /** Later calls have higher numbers, so that descending order is an order of backward. */
  readonly sequence = ++sequence;
  /** For each argument, an edge or the edges of a list. */
  readonly edges: readonly (Edge | readonly Edge[])[];
  readonly outputs: readonly OutputFacts[];
  readonly saved: Saved[] = [];
  #run: ((grad: never) => Grads) | null = null;
  readonly single: boolean;

  constructor(name: string, edges: readonly (Edge | readonly Edge[])[], outs: readonly Tensor[], single: boolean) {
    this.name = name;
    this.module = shared().modulePath;
    this.edges = edges;
    this.single = single;
    this.outputs = outs.map(({ shape, dtype, device }) => ({ shape, dtype, device }));
  }

  set run(run: (grad: never) => Grads) {
    this.#run = run;
  }

  /** Gradients of the arguments; throws ERR_AO_DISPOSED at a second call after `free`. */
  apply(grads: readonly Tensor[]): Grads {
    if (this.#run === null) {
      throw new AoError('ERR_AO_DISPOSED', `backward ran through ${this.name} a second time`, {
        op: this.name,
        ...(this.module === '' ? {} : { module: this.module }),
        fix: 'pass retainGraph: true to the first backward',
      });
    }
    return this.#run((this.single ? grads[0] : grads) as never);
  }

  /** Lets go of what backward kept. */
  free(): void {
    this.#run = null;
    for (const s of this.saved) s.free();
    this.saved.length = 0;
  }
}

/** Where the gradient of t goes. */
export function edgeOf(t: Tensor): Edge {
  const edge = t.gradFn as (GradEdge & { readonly node: Node }) | null;
  if (edge !== null) return edge;
  return t.requiresGrad ? { leaf: t } : null;
}
