// Sampling one token from each row of logits: temperature, top-k, top-p, min-p, then the inverse of the cumulative distribution at a Philox
// number. Candidates are ordered by logit descending, then by index.
import type { OnDevice } from '../extension.ts';
import type { SampleArgs, SampleOptions } from '../ops/sample.ts';
import { philox } from '../philox.ts';
import type { Dense } from '../tensor.ts';
import { store, valuesOf } from './memory.ts';

export function sampleReference(token: Dense, ...args: OnDevice<SampleArgs>): void {
  const [, logits, state, options] = args;
  const [rows, V] = logits.shape as [number, number];
  const x = valuesOf(logits);
  const s = valuesOf(state);
  store(
    state,
    Array.from(s, (value, i) => value + (i % 2)),
  );
  store(
    token,
    Array.from({ length: rows }, (_v, r) => draw(x.subarray(r * V, (r + 1) * V), s[2 * r]!, s[2 * r + 1]!, options)),
  );
}

function draw(
  x: ReturnType<typeof valuesOf>,
  seed: number,
  call: number,
  { temperature, topK, topP, minP = 0 }: SampleOptions,
): number {
  let order = Array.from(x, (_v, i) => i).sort((a, b) => x[b]! - x[a]! || a - b);
  if (temperature === 0) return order[0]!;
  if (topK > 0) order = order.slice(0, topK);
  const z = (i: number): number => Math.fround(Math.fround(x[i]!) / Math.fround(temperature));
  const top = z(order[0]!);
  const weights = order.map((i) => Math.exp(z(i) - top));
  const total = weights.reduce((s, w) => s + w, 0);
  const p = weights.map((w) => w / total);
  let mass = 0;
  let count = 0;
  const likely = (i: number): boolean => (topP === 1 || mass < topP) && weights[i]! >= minP;
  while (count < p.length && (count === 0 || likely(count))) mass += p[count++]!;
  const goal = (philox(seed, 0, call)[0] / 2 ** 32) * mass;
  let at = 0;
  for (let sum = p[0]!; at + 1 < count && sum <= goal; sum += p[at]!) at += 1;
  return order[at]!;
}
