// mix(layers, budget): one choice for each layer, so that the bytes fit the budget and the sum of costs is small. Costs add up
// (what one layer does to the predictions hardly depends on the others), so the best choice for a budget lies on the lower
// convex hull of each layer's (bytes, cost) points: start from each layer's smallest choice and take the steps along the hulls
// in the order of cost saved per byte, leaving out a step that no longer fits, and with it the layer's further ones.
export interface Choice<C> {
  readonly value: C;
  readonly bytes: number;
  readonly cost: number;
}

export interface Mixed<C> {
  /** The choice of each layer, in their order. */
  readonly chosen: readonly Choice<C>[];
  readonly bytes: number;
  readonly cost: number;
}

interface Step {
  readonly layer: number;
  /** Index in the layer's hull that it leads to. */
  readonly to: number;
  readonly bytes: number;
  /** Cost saved per byte. */
  readonly gain: number;
}

/** From the smallest on, each choice costs less than the one before, and saves less per byte than the step before. */
function hull<C>(choices: readonly Choice<C>[]): Choice<C>[] {
  const sorted = [...choices].sort((a, b) => a.bytes - b.bytes || a.cost - b.cost);
  const out: Choice<C>[] = [];
  const slope = (a: Choice<C>, b: Choice<C>): number => (a.cost - b.cost) / (b.bytes - a.bytes);
  for (const c of sorted) {
    const last = out.at(-1);
    if (last !== undefined && (c.cost >= last.cost || c.bytes === last.bytes)) continue;
    while (
      out.length > 1 &&
      slope(out.at(-2) as Choice<C>, out.at(-1) as Choice<C>) <= slope(out.at(-1) as Choice<C>, c)
    ) {
      out.pop();
    }
    out.push(c);
  }
  return out;
}

/** Where even the smallest choices are larger than the budget, those. */
export function mix<C>(layers: readonly (readonly Choice<C>[])[], budget: number): Mixed<C> {
  const hulls = layers.map(hull);
  const at = hulls.map(() => 0);
  const steps = hulls.flatMap((h, layer) =>
    h.slice(1).map((c, i): Step => {
      const from = h[i] as Choice<C>;
      const bytes = c.bytes - from.bytes;
      return { layer, to: i + 1, bytes, gain: (from.cost - c.cost) / bytes };
    }),
  );
  // of equal gains the smaller step, then the earlier layer: the order never depends on how the layers were sorted
  steps.sort((a, b) => b.gain - a.gain || a.bytes - b.bytes || a.layer - b.layer || a.to - b.to);
  let bytes = hulls.reduce((n, h) => n + (h[0]?.bytes ?? 0), 0);
  for (const step of steps) {
    if (at[step.layer] !== step.to - 1 || bytes + step.bytes > budget) continue;
    at[step.layer] = step.to;
    bytes += step.bytes;
  }
  const chosen = hulls.map((h, i) => h[at[i] as number] as Choice<C>);
  return { chosen, bytes, cost: chosen.reduce((n, c) => n + c.cost, 0) };
}
