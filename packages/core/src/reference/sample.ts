// Sampling one token from logits: temperature, top-k, top-p, then the inverse of the cumulative distribution at a Philox
// number. Candidates are ordered by logit descending, then by index.
import { type KernelEntry, kernel } from '../extension.ts';
import { sample_ } from '../ops/sample.ts';
import { philox } from '../philox.ts';
import { store, valuesOf } from './memory.ts';

export const sampling = (): KernelEntry[] => [
  kernel(sample_, 'reference', (token, _, logits, state, { temperature, topK, topP }) => {
    const x = valuesOf(logits);
    const [seed, call] = valuesOf(state) as unknown as [number, number];
    store(state, [seed, call + 1]);
    let order = Array.from(x, (_v, i) => i).sort((a, b) => x[b]! - x[a]! || a - b);
    if (temperature === 0) {
      store(token, [order[0]!]);
      return;
    }
    if (topK > 0) order = order.slice(0, topK);
    const z = (i: number): number => Math.fround(Math.fround(x[i]!) / Math.fround(temperature));
    const top = z(order[0]!);
    const weights = order.map((i) => Math.exp(z(i) - top));
    const total = weights.reduce((s, w) => s + w, 0);
    const p = weights.map((w) => w / total);
    let mass = 0;
    let count = 0;
    while (count < p.length && (count === 0 || topP === 1 || mass < topP)) mass += p[count++]!;
    const goal = (philox(seed, 0, call)[0] / 2 ** 32) * mass;
    let at = 0;
    for (let sum = p[0]!; at + 1 < count && sum <= goal; sum += p[at]!) at += 1;
    store(token, [order[at]!]);
  }),
];
