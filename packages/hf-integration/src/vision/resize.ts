// resize(image, width, height, filter): Pillow's resampling: columns first, then rows, each a weighted sum over the pixels that the
// filter, widened by the scale where the picture shrinks, covers; the sums are rounded to bytes after each of the two.
//   weight of pixel i for output j: f((i + 1/2 - c) / s) / sum, c = (j + 1/2) * in / out, s = max(in / out, 1)

export type Filter = 'nearest' | 'bilinear' | 'bicubic' | 'lanczos';

const cubic = (x: number): number => {
  const a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
};
const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** Half the width, and the weight at a distance. */
const FILTERS: Readonly<Record<Exclude<Filter, 'nearest'>, readonly [number, (x: number) => number]>> = {
  bilinear: [1, (x) => Math.max(0, 1 - x)],
  bicubic: [2, cubic],
  lanczos: [3, (x) => (x < 3 ? sinc(x) * sinc(x / 3) : 0)],
};

/** Which pixels make output j, from `begin` on, and how much each counts. */
interface Window {
  readonly begin: number;
  readonly weights: readonly number[];
}

/** Weights have 22 binary digits behind the point. */
const ONE = 2 ** 22;

function windows(from: number, to: number, filter: Filter): Window[] {
  const ratio = from / to;
  if (filter === 'nearest') {
    // a running sum, as Pillow adds: it decides where a centre falls between two pixels
    let center = ratio / 2;
    return Array.from({ length: to }, () => {
      const begin = Math.floor(center);
      center += ratio;
      return { begin, weights: [1] };
    });
  }
  const [half, f] = FILTERS[filter];
  const scale = Math.max(ratio, 1);
  return Array.from({ length: to }, (_, j) => {
    const center = (j + 0.5) * ratio;
    const begin = Math.max(0, Math.floor(center - half * scale + 0.5));
    const end = Math.min(from, Math.floor(center + half * scale + 0.5));
    const raw = Array.from({ length: end - begin }, (_x, i) => f(Math.abs((begin + i + 0.5 - center) / scale)));
    const sum = raw.reduce((a, b) => a + b, 0);
    return { begin, weights: raw.map((w) => Math.round((w / sum) * ONE) / ONE) };
  });
}

/** One direction: `outer` runs of `from` pixels of `inner` bytes become runs of `to`. */
function pass(data: Uint8Array, outer: number, from: number, to: number, inner: number, filter: Filter): Uint8Array {
  if (from === to) return data;
  const out = new Uint8ClampedArray(outer * to * inner);
  for (const [j, { begin, weights }] of windows(from, to, filter).entries()) {
    for (let o = 0; o < outer; o++) {
      for (let c = 0; c < inner; c++) {
        let sum = 0;
        for (let i = 0; i < weights.length; i++) sum += weights[i]! * data[(o * from + begin + i) * inner + c]!;
        out[(o * to + j) * inner + c] = Math.floor(sum + 0.5);
      }
    }
  }
  return new Uint8Array(out.buffer);
}

/** Bytes [fromHeight, fromWidth, 3] -> [height, width, 3]. */
export function resize(
  data: Uint8Array,
  [fromHeight, fromWidth]: readonly [number, number],
  [height, width]: readonly [number, number],
  filter: Filter,
): Uint8Array {
  return pass(pass(data, fromHeight, fromWidth, width, 3, filter), 1, fromHeight, height, width * 3, filter);
}
