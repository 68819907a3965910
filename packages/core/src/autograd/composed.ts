// The derivative of an op from a composition of other ops that gives the same: backward runs it and goes back through it.
import type { VjpEntry } from '../extension.ts';
import type { Args, Op } from '../op.ts';
import { isTensor, type Tensor } from '../tensor.ts';
import { grad } from './backward.ts';
import { detach, enableGrad } from './grad-mode.ts';
import { vjp } from './vjp.ts';

/** A rule for an op of one output, without one of its own: costs the composition's forward and backward in backward. */
export function composed<A extends Args>(op: Op<A, Tensor>, f: (...args: A) => Tensor): VjpEntry {
  return vjp<A, Tensor>(op, ({ needs, save }, _, ...args) => {
    const saved = args.map((a) => (isTensor(a) ? save(a) : () => a));
    return (g) => {
      const own = saved.map((read, i) => {
        const a = read();
        if (!isTensor(a) || !needs(i)) return a;
        const leaf = detach(a);
        leaf.requiresGrad = true;
        return leaf;
      });
      const leaves = own.filter((_a, i) => needs(i)) as Tensor[];
      const out = enableGrad(() => f(...(own as unknown as A)));
      const grads = grad(out, leaves, { gradient: g });
      return own.map((a) => (isTensor(a) && leaves.includes(a) ? grads[leaves.indexOf(a)] : null));
    };
  });
}
