// Reverse mode: nodes in descending order of their calls, gradients summed where paths meet, leaves when all their
// contributions are in.
import { ones, zeros } from '../create.ts';
import { AoError } from '../errors.ts';
import { add } from '../ops/binary.ts';
import { contiguousOp } from '../ops/contiguous.ts';
import { keep, scope } from '../scope.ts';
import type { Dense, Tensor } from '../tensor.ts';
import { checkAnomaly } from './anomaly.ts';
import { noGrad } from './grad-mode.ts';
import { afterAccumulate, endOfBackward, hookedGrad } from './hooks.ts';
import { type Edge, edgeOf, type Node } from './node.ts';
import { add_ } from './ops/accumulate.ts';

export interface BackwardOptions {
  /** Gradient of the root; 1 where it has one element. */
  readonly gradient?: Tensor;
  /** Keeps what backward needs, so that it may run again. */
  readonly retainGraph?: boolean;
}

/** Counts who holds a gradient that is on its way, and disposes it after the last. */
export class Pending {
  readonly #holders = new Map<Tensor, number>();

  hold(g: Tensor): Tensor {
    this.#holders.set(g, (this.#holders.get(g) ?? 0) + 1);
    return g;
  }

  release(g: Tensor): void {
    const n = (this.#holders.get(g) ?? 1) - 1;
    if (n > 0) this.#holders.set(g, n);
    else {
      this.#holders.delete(g);
      g.dispose();
    }
  }

  /** True where nobody else holds g or its memory, so that it may become somebody's own; it is let go of then. */
  take(g: Tensor): boolean {
    if (this.#holders.get(g) !== 1 || g.kept || !(g as Dense).contiguous || (g as Dense).storage.tensors > 1)
      return false;
    return this.#holders.delete(g);
  }
}

const flat = (node: Node): readonly Edge[] => node.edges.flat();

/** Every node that the roots depend on, the latest call first, and how many edges lead to each leaf. */
function order(roots: readonly Edge[]): { nodes: Node[]; leaves: Map<Tensor, number> } {
  const seen = new Set<Node>();
  const leaves = new Map<Tensor, number>();
  const visit = (e: Edge): void => {
    if (e === null) return;
    if ('leaf' in e) leaves.set(e.leaf, (leaves.get(e.leaf) ?? 0) + 1);
    else seen.add(e.node);
  };
  roots.forEach(visit);
  for (const node of seen) flat(node).forEach(visit);
  return { nodes: [...seen].sort((a, b) => b.sequence - a.sequence), leaves };
}

/** leaf.grad += g; the first gradient becomes the leaf's own. */
function accumulate(leaf: Tensor, g: Tensor, pending: Pending): void {
  if (leaf.grad !== null) {
    const total = leaf.grad;
    add_(total, g);
    pending.release(g);
  } else if (pending.take(g)) leaf.grad = keep(g);
  else {
    leaf.grad = keep(contiguousOp(g));
    pending.release(g);
  }
  leaf.grad.guard();
  afterAccumulate(leaf);
}

type Sink = (leaf: Tensor, g: Tensor, pending: Pending) => void;

function seed(root: Tensor, gradient: Tensor | undefined): Tensor {
  if (gradient === undefined) {
    if (root.numel !== 1) {
      throw new AoError('ERR_AO_SHAPE', `backward of a tensor of shape [${root.shape}] needs its gradient`, {
        op: 'backward',
        fix: 'reduce it to one element, or pass { gradient }',
      });
    }
    return ones(root.rt, root.shape, { dtype: root.dtype, device: root.device });
  }
  if (gradient.shape.join() !== root.shape.join() || gradient.dtype !== root.dtype) {
    throw new AoError(
      'ERR_AO_SHAPE',
      `gradient is ${gradient.dtype.name}[${gradient.shape}], the root ${root.dtype.name}[${root.shape}]`,
      { op: 'backward', fix: 'give them equal shapes and dtypes' },
    );
  }
  return contiguousOp(gradient);
}

/** Gradients on their way, by the node or leaf that they go to. */
class Slots {
  readonly pending = new Pending();
  readonly #slots = new Map<Node | Tensor, (Tensor | undefined)[]>();

  /** Takes over the caller's hold of g. */
  put(edge: Edge, g: Tensor): void {
    if (edge === null) {
      this.pending.release(g);
      return;
    }
    const [key, index] = 'leaf' in edge ? [edge.leaf, 0] : [edge.node, edge.index];
    const at = this.#slots.get(key) ?? [];
    this.#slots.set(key, at);
    const old = at[index];
    at[index] = old === undefined ? g : this.pending.hold(add(old, g));
    if (old === undefined) return;
    this.pending.release(old);
    this.pending.release(g);
  }

  take(key: Node | Tensor): (Tensor | undefined)[] {
    const at = this.#slots.get(key) ?? [];
    this.#slots.delete(key);
    return at;
  }
}

/** Runs the graph behind `roots`; every leaf's gradient goes to `sink` as soon as it is complete. */
export function runBackward(
  roots: readonly Tensor[],
  gradients: readonly (Tensor | undefined)[],
  retainGraph: boolean,
  sink: Sink,
): void {
  const slots = new Slots();
  const { pending } = slots;
  const edges = roots.map(edgeOf);
  if (edges.every((e) => e === null)) {
    throw new AoError('ERR_AO_CONFIG', 'backward of a tensor that requires no gradient', {
      op: 'backward',
      fix: 'set requiresGrad on parameters before the forward pass, and run it outside noGrad',
    });
  }
  const { nodes, leaves } = order(edges);
  const give = (edge: Edge, g: Tensor | null | undefined): void => {
    if (g != null) slots.put(edge, g);
    if (edge === null || !('leaf' in edge)) return;
    const left = leaves.get(edge.leaf)! - 1;
    leaves.set(edge.leaf, left);
    const [total] = left === 0 ? slots.take(edge.leaf) : [];
    if (total !== undefined) sink(edge.leaf, total, pending);
  };
  for (const [i, edge] of edges.entries()) {
    if (edge === null) continue;
    give(edge, pending.hold(seed(roots[i]!, gradients[i])));
  }
  for (const node of nodes) {
    const incoming = slots.take(node);
    const used = incoming.some((g) => g !== undefined);
    const grads = used ? outgoing(node, incoming) : [];
    // one tensor may be several gradients, and an incoming one too
    for (const g of grads) if (g != null) pending.hold(g);
    for (const g of incoming) if (g !== undefined) pending.release(g);
    for (const [i, e] of flat(node).entries()) give(e, grads[i]);
    if (!retainGraph) node.free();
  }
}

/** The gradients of a node's arguments, flat; outputs that nothing used count as zeros. */
function outgoing(node: Node, incoming: readonly (Tensor | undefined)[]): (Tensor | null | undefined)[] {
  const rt = incoming.find((g) => g !== undefined)!.rt;
  const edges = node.edges;
  const out = scope(() => {
    const full = node.outputs.map((o, i) => incoming[i] ?? zeros(rt, o.shape, o));
    const grads = node.apply(full);
    const found: (Tensor | null | undefined)[] = [];
    for (const [i, e] of edges.entries()) {
      const g = grads[i];
      if (Array.isArray(e)) found.push(...e.map((_, j) => (g as readonly (Tensor | null)[] | null | undefined)?.[j]));
      else found.push(g as Tensor | null | undefined);
    }
    return found;
  });
  for (const [i, g] of out.entries()) if (g != null) checkAnomaly(node, g, i);
  return out;
}

/** What `backward` does with a leaf's gradient: hooks, then leaf.grad += g. */
export function accumulateGrad(leaf: Tensor, g: Tensor, pending: Pending): void {
  const out = hookedGrad(leaf, g);
  if (out !== g) {
    pending.hold(out);
    pending.release(g);
  }
  accumulate(leaf, out, pending);
}

/**
 * Adds d root / d leaf to the `grad` of every leaf that requires one. root has one element, or `gradient` its shape.
 * Throws ERR_AO_DISPOSED at a second call without retainGraph.
 */
export function backward(root: Tensor, options: BackwardOptions = {}): void {
  const { gradient, retainGraph = false } = options;
  let whole = false;
  noGrad(() =>
    scope(() => {
      try {
        runBackward([root], [gradient], retainGraph, accumulateGrad);
        whole = true;
      } finally {
        endOfBackward(whole);
      }
    }),
  );
}

/** torch.autograd.grad: the gradients of root by the given leaves, null where it does not depend on one; `grad` fields stay. */
export function grad(root: Tensor, leaves: readonly Tensor[], options: BackwardOptions = {}): (Tensor | null)[] {
  const { gradient, retainGraph = false } = options;
  return noGrad(() =>
    scope(() => {
      const found = new Map<Tensor, Tensor>();
      runBackward([root], [gradient], retainGraph, (leaf, g, pending) => {
        if (leaves.includes(leaf)) found.set(leaf, pending.take(g) ? g : contiguousOp(g));
        else pending.release(g);
      });
      return leaves.map((leaf) => found.get(leaf) ?? null);
    }),
  );
}
