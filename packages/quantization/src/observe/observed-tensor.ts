// ObservedTensor: a weight that shows what it meets. While calibration runs it stands in the place of the weight, so that
// inputs are seen wherever a model uses it, by any module or fused op, without hooks. y = transform(x) weight^T.
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
  sum,
  type Tensor,
  unsqueeze,
  type WrappedOf,
  where,
} from '@ao/core';

export interface Seen {
  /** [..., K]; rows that the weight did not meet are 0. */
  readonly x: Tensor;
  /** The tensor that x was made of, the same for all weights that read it. */
  readonly source: Tensor;
  /** Which of several experts met x; 0 elsewhere. */
  readonly expert: number;
  /** How many rows count, a scalar; absent: all. */
  readonly rows?: Tensor;
}

export interface ObservedAttrs {
  /** What happens to inputs before they are seen. Default: nothing. */
  transform?(x: Tensor): Tensor;
  /** Called before the product; may throw to end the run. */
  observe(seen: Seen): void;
  /** Called with the product, bias included; rows of experts that were not chosen are 0. */
  observeOutput?(y: Tensor): void;
}

export type ObservedTensor = WrappedOf<'weight', never, ObservedAttrs>;

export const observedKind: KindOf<'weight', never, ObservedAttrs> = /*@__PURE__*/ defineKind('observed', {
  parts: ['weight'],
  attrs: (value): ObservedAttrs => value as ObservedAttrs,
  dequantize: (t: ObservedTensor) => t.rt.dequantize(t.weight),
});

function observedLinear(input: Tensor, w: ObservedTensor, b: Tensor | undefined): Tensor {
  const x = w.attrs.transform?.(input) ?? input;
  w.attrs.observe({ x, source: input, expert: 0 });
  const y = linear(x, w.weight, b);
  w.attrs.observeOutput?.(y);
  return y;
}

/** Each expert sees the tokens that were routed to it, the rest as zeros. */
function observedExperts(input: Tensor, ws: readonly Tensor[], index: Tensor): Tensor {
  let out: Tensor | number = 0;
  for (const [e, w] of ws.entries()) {
    const chosen = eq(index, e);
    if (!observedKind.is(w)) {
      out = where(unsqueeze(chosen, 2), linear(input, w), out);
      continue;
    }
    const x = w.attrs.transform?.(input) ?? input;
    const met = cast(chosen, input.dtype);
    // a token's slots may share one row
    const rows = input.shape[1] === 1 ? amax(met, 1, true) : met;
    w.attrs.observe({ x: mul(x, unsqueeze(rows, 2)), source: input, expert: e, rows: sum(rows) });
    const y = linear(x, w.weight);
    w.attrs.observeOutput?.(where(unsqueeze(chosen, 2), y, 0));
    out = where(unsqueeze(chosen, 2), y, out);
  }
  return out as Tensor;
}

/** What observing needs of a runtime; quantization() brings it. */
export const observedEntries = (): readonly Entry[] => [
  kindEntry(observedKind),
  override(linear, 1, observedKind, (x, w, b) => scope(() => observedLinear(x, w as ObservedTensor, b))),
  override(linearExperts, 1, observedKind, (x, ws, index) => scope(() => observedExperts(x, ws, index))),
  override(embedding, 0, observedKind, (w, indices) => embedding((w as ObservedTensor).weight, indices)),
];
