// Gradient checkpointing: forward keeps only the inputs of fn, backward runs fn again.
import { shared } from '../identity.ts';
import { clone, copy_ } from '../ops/copy.ts';
import { keep, scope } from '../scope.ts';
import type { Tensor } from '../tensor.ts';
import { withAutocast } from './autocast.ts';
import { accumulateGrad, runBackward } from './backward.ts';
import { detach, enableGrad, noGrad, recordLater } from './grad-mode.ts';
import { edgeOf, Node } from './node.ts';
import { Saved } from './saved.ts';

export interface CheckpointOptions {
  /** States of generators that fn draws from: they are set back, so that it draws the same again. */
  readonly generators?: readonly Tensor[];
}

/**
 * torch.utils.checkpoint: fn(...inputs) without keeping what its backward needs, which it computes once more then. fn must
 * give the same again; gradients go to the inputs and to every parameter that fn uses.
 */
export function checkpoint<T extends Tensor | Tensor[]>(
  fn: (...inputs: Tensor[]) => T,
  inputs: readonly Tensor[],
  options: CheckpointOptions = {},
): T {
  if (shared().noGrad > 0) return fn(...inputs);
  const generators = options.generators ?? [];
  const { autocast } = shared();
  const states = generators.map((g) => keep(noGrad(() => clone(g))));
  for (const s of states) s.guard();
  const result = recordLater(() => scope(() => fn(...inputs)));
  const outs: readonly Tensor[] = Array.isArray(result) ? result : [result as Tensor];
  const edges = inputs.map(edgeOf);
  const node = new Node('checkpoint', edges, outs, !Array.isArray(result));
  const saved = inputs.map((x) => new Saved(x));
  node.saved.push(...saved);
  node.run = (given: Tensor | readonly Tensor[]) => {
    const own = saved.map((s, i) => {
      const x = detach(s.read(node.name, node.module));
      if (edges[i] !== null) x.requiresGrad = true;
      return x;
    });
    const now = generators.map((g) => clone(g));
    generators.forEach((g, i) => copy_(g, states[i]!));
    const again = enableGrad(() => withAutocast(autocast, () => fn(...own)));
    generators.forEach((g, i) => copy_(g, now[i]!));
    const roots: readonly Tensor[] = Array.isArray(again) ? again : [again as Tensor];
    const gradients = node.single ? [given as Tensor] : (given as readonly Tensor[]);
    const found = new Map<Tensor, Tensor>();
    runBackward(roots, gradients, false, (leaf, g, pending) => {
      if (own.includes(leaf)) found.set(leaf, g);
      else accumulateGrad(leaf, g, pending);
    });
    return own.map((x) => found.get(x) ?? null);
  };
  for (const [index, t] of outs.entries()) if (t.dtype.category === 'float') t.gradFn = { node, index };
  return result;
}
