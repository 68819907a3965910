// Recording a call: run it without recording, then keep its rule's backward in a node that its outputs point to. An op
// without a rule records what it decomposes into.
import { findOverride } from '../dispatch.ts';
import { AoError } from '../errors.ts';
import { shared } from '../identity.ts';
import { isWrapped } from '../kind.ts';
import type { AnyOp, Args } from '../op.ts';
import type { RuntimeImpl } from '../runtime.ts';
import type { Tape } from '../tape.ts';
import { isTensor, type Tensor } from '../tensor.ts';
import { autocastArgs, withAutocast } from './autocast.ts';
import { noGrad } from './grad-mode.ts';
import { type Edge, edgeOf, Node } from './node.ts';
import { Saved } from './saved.ts';
import type { Vjp } from './vjp.ts';

// biome-ignore lint/suspicious/noExplicitAny: the erased form of a rule, as tables hold it
type AnyVjp = Vjp<any, any>;

const edgesOf = (a: unknown): Edge | Edge[] => {
  if (Array.isArray(a)) return a.map((b) => (isTensor(b) ? edgeOf(b) : null));
  return isTensor(a) ? edgeOf(a) : null;
};

function noDerivative(op: AnyOp): AoError {
  const { modulePath } = shared();
  return new AoError('ERR_AO_KERNEL', `${op.id} has no derivative`, {
    op: op.id,
    ...(modulePath === '' ? {} : { module: modulePath }),
    fix: 'detach its arguments, or give an extension that has vjp(op, rule)',
  });
}

function withoutRule(rt: RuntimeImpl, op: AnyOp, args: Args): unknown {
  const override = findOverride(op, rt.registry.op(op).overrides, args);
  if (override !== undefined) return override.run(...args);
  if (op.spec.decompose !== undefined) return op.spec.decompose(...args);
  const out = noGrad(() => withAutocast(null, () => rt.dispatch(op, args)));
  const outs = (Array.isArray(out) ? out : [out]) as Tensor[];
  if (outs.every((t) => t.dtype.category !== 'float')) return out;
  for (const t of outs) t.dispose();
  throw noDerivative(op);
}

const requires = (a: unknown): boolean => (Array.isArray(a) ? a.some(requires) : isTensor(a) && a.requiresGrad);

/** A kind that is made of what is trained: then what its rule calls is recorded, in place of the op's derivative. */
const hasTrainedParts = (a: unknown): boolean => {
  if (Array.isArray(a)) return a.some(hasTrainedParts);
  return (
    isTensor(a) && isWrapped(a) && Object.values(a.held).some((part) => part.requiresGrad || hasTrainedParts(part))
  );
};

/** A kind around what is trained: under autocast its rule casts that, whatever the dtype of the whole says. */
const isTrained = (a: unknown): boolean =>
  Array.isArray(a) ? a.some(isTrained) : isTensor(a) && isWrapped(a) && a.kind.spec.trains !== undefined;

/** Under autocast calls come here without a gradient too. */
function record(rt: RuntimeImpl, op: AnyOp, given: Args): unknown {
  const args = autocastArgs(op, given);
  const s = shared();
  if (s.autocast !== null && args.some(isTrained)) return withoutRule(rt, op, args);
  if (s.noGrad > 0 || !args.some((a) => requires(a) || hasTrainedParts(a))) {
    return withAutocast(null, () => rt.dispatch(op, args));
  }
  if (op.spec.mutates !== undefined) {
    throw new AoError('ERR_AO_CONFIG', `${op.id} writes in place, where a gradient is required`, {
      op: op.id,
      ...(shared().modulePath === '' ? {} : { module: shared().modulePath }),
      fix: 'wrap it in noGrad(() => ...), or detach its arguments',
    });
  }
  const { vjp, forward } = rt.registry.op(op);
  const rule = vjp as AnyVjp | undefined;
  if (rule === undefined || args.some(hasTrainedParts)) return withoutRule(rt, op, args);
  const ran = noGrad(() => withAutocast(null, () => rt.dispatch(forward ?? op, args))) as Tensor | Tensor[];
  const [first, ...besides] = forward === undefined ? [ran] : (ran as [Tensor, ...Tensor[]]);
  const out = first;
  const outs = Array.isArray(out) ? out : [out];
  const edges = args.map(edgesOf);
  const node = new Node(op.id, edges, outs, !Array.isArray(out));
  node.run = rule(
    {
      needs(i, element) {
        const e = edges[i];
        if (!Array.isArray(e)) return e != null;
        return element === undefined ? e.some((x) => x !== null) : e[element] != null;
      },
      save(t) {
        if (t === undefined) return () => t;
        const saved = new Saved(t as Tensor);
        node.saved.push(saved);
        return () => saved.read(node.name, node.module) as typeof t;
      },
      besides: besides as Tensor[],
    },
    out,
    ...args,
  );
  for (const t of besides) (t as Tensor).dispose();
  for (const [index, t] of outs.entries()) if (t.dtype.category === 'float') t.gradFn = { node, index };
  return out;
}

/** The tape of every runtime that uses `autograd()`. */
export const tape: Tape = {
  record,
  leaf(t, on) {
    if (t.gradFn !== null) {
      throw new AoError(
        'ERR_AO_CONFIG',
        `requiresGrad belongs to leaves; this tensor was made by ${t.gradFn.node.name}`,
        {
          fix: 'detach(t) first',
        },
      );
    }
    if (isWrapped(t) && t.packed === null) {
      const { trains } = t.kind.spec;
      if (on && trains === undefined) {
        throw new AoError('ERR_AO_DTYPE', `a quantized weight (${t.kind.name}) cannot require a gradient`, {
          fix: 'train before quantizing, or train an adapter beside it',
        });
      }
      for (const part of trains ?? []) if (t.held[part] !== undefined) t.held[part].requiresGrad = on;
      return false;
    }
    if (!on) return on;
    if (t.packed !== null || t.dtype.category !== 'float' || t.dtype.bits < 16) {
      const what = t.packed === null ? `a tensor of ${t.dtype.name}` : 'a packed weight';
      throw new AoError('ERR_AO_DTYPE', `${what} cannot require a gradient`, {
        fix: 'use an unpacked float parameter (load with trainable: true), or train an adapter beside it',
      });
    }
    return on;
  },
};
