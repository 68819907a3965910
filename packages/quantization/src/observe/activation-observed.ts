// ActivationObservedTensor: a weight with an observer before it. It computes what the weight computes, wherever a model uses it, by
// any module or fused op; what it meets goes through the observer first.
import {
  amax,
  cast,
  defineKind,
  type Entry,
  embedding,
  eq,
  type KindOf,
  kindEntry,
  linear,
  linearExperts,
  mul,
  override,
  scope,
  type Tensor,
  unsqueeze,
  type WrappedOf,
} from '@ao/core';
import type { AffineQuantizedObserver } from './observer.ts';

export interface ObservedAttrs {
  readonly observer: AffineQuantizedObserver;
}

export type ActivationObservedTensor = WrappedOf<'weight', never, ObservedAttrs>;

export const activationObservedKind: KindOf<'weight', never, ObservedAttrs> = /*@__PURE__*/ defineKind(
  'activation_observed',
  {
    parts: ['weight'],
    attrs: (value): ObservedAttrs => value as ObservedAttrs,
    dequantize: (t: ActivationObservedTensor) => t.rt.dequantize(t.weight),
  },
);

function observedLinear(x: Tensor, w: ActivationObservedTensor, b: Tensor | undefined): Tensor {
  w.attrs.observer.forward(x);
  return linear(x, w.weight, b);
}

/** Each expert's observer sees the tokens that were routed to it, the rest as zeros. */
function observedExperts(x: Tensor, ws: readonly Tensor[], index: Tensor): Tensor {
  const plain = ws.map((w, e) => {
    if (!activationObservedKind.is(w)) return w;
    const met = cast(eq(index, e), x.dtype);
    // a token's slots may share one row
    w.attrs.observer.forward(mul(x, unsqueeze(x.shape[1] === 1 ? amax(met, 1, true) : met, 2)));
    return w.weight;
  });
  return linearExperts(x, plain, index);
}

/** What observing needs of a runtime; quantization() brings it. */
export const activationObservedEntries = (): readonly Entry[] => [
  kindEntry(activationObservedKind),
  override(linear, 1, activationObservedKind, (x, w, b) =>
    scope(() => observedLinear(x, w as ActivationObservedTensor, b)),
  ),
  override(linearExperts, 1, activationObservedKind, (x, ws, index) => scope(() => observedExperts(x, ws, index))),
  override(embedding, 0, activationObservedKind, (w, indices) =>
    embedding((w as ActivationObservedTensor).weight, indices),
  ),
];
