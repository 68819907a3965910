// k-means of scalars by Lloyd's steps (reference kernel); the formula is that of formats/k-means.ts, sums in float64.
import { startingSpots, stepsOf } from '../formats/k-means.ts';

/** Index of the nearest of ascending values; the lower of two as near. */
function nearest(x: number, codebook: Float32Array): number {
  let [low, high] = [0, codebook.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    const edge = ((codebook[middle] as number) + (codebook[middle + 1] as number)) / 2;
    if (x > edge) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The codebook of one group. */
export function lloyd(x: Float32Array, bits: number): Float32Array {
  const middle = x.reduce((s, v) => s + v, 0) / x.length;
  const deviation = Math.sqrt(x.reduce((s, v) => s + (v - middle) ** 2, 0) / x.length);
  const [least, most] = x.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  const codebook = startingSpots(2 ** bits).map((z) =>
    Math.min(Math.max(z * deviation + middle, least as number), most as number),
  );
  for (let step = 0; step < stepsOf(bits); step++) {
    const sum = new Float64Array(codebook.length);
    const count = new Int32Array(codebook.length);
    for (const v of x) {
      const code = nearest(v, codebook);
      sum[code]! += v;
      count[code]! += 1;
    }
    codebook.forEach((_, j) => {
      if (count[j]! > 0) codebook[j] = sum[j]! / count[j]!;
    });
  }
  return codebook;
}

/** Codes of one group. */
export const codesOf = (x: Float32Array, codebook: Float32Array): Uint8Array =>
  Uint8Array.from(x, (v) => nearest(v, codebook));
