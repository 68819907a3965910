// Rotation: a random orthogonal matrix of any size n = m 2^k that is cheap to apply: R = diag(signs) (O (x) H / sqrt(2^k)), H the
// Walsh-Hadamard matrix of size 2^k, O a random orthogonal [m, m] (m odd; 1 for powers of two). Every value of x is spread over
// all n. The same seed gives the same matrix everywhere (Philox).
import { type Dense, keep, matmul, mul, philox, type Runtime, reshape, scope, type Tensor, tensor } from '@ao/core';

/** The three factors, on a device: x R = ((x signs) as [.., m, 2^k]) times `hadamard` [2^k, 2^k], then `mix` [m, m] over m. */
export interface Rotation {
  readonly seed: number;
  readonly signs: Dense;
  readonly hadamard: Dense;
  /** Transposed: rows of the result. Absent for powers of two. */
  readonly mix?: Dense;
}

export function rotation(rt: Runtime, size: number, seed: number, device = rt.device): Rotation {
  let power = 1;
  while (size % (2 * power) === 0) power *= 2;
  const m = size / power;
  const signs = Float32Array.from({ length: size }, (_, i) => (philox(seed, i, 0)[0] & 1 ? 1 : -1));
  const norm = 1 / Math.sqrt(power);
  const hadamard = Float32Array.from({ length: power * power }, (_, i) => {
    let bits = Math.floor(i / power) & (i % power);
    let odd = false;
    for (; bits > 0; bits &= bits - 1) odd = !odd;
    return odd ? -norm : norm;
  });
  const on = (values: Float32Array, shape: readonly number[]): Dense => tensor(rt, values, { shape, device });
  return {
    seed,
    signs: on(signs, [size]),
    hadamard: on(hadamard, [power, power]),
    ...(m > 1 && { mix: on(orthogonal(m, seed), [m, m]) }),
  };
}

const known = /*@__PURE__*/ new WeakMap<Runtime, Map<string, WeakRef<Rotation>>>();

/** The same, made once for all weights that use it at a time: a large one takes many megabytes. */
export function sharedRotation(rt: Runtime, size: number, seed: number, device: string): Rotation {
  const all = known.get(rt) ?? new Map<string, WeakRef<Rotation>>();
  known.set(rt, all);
  const key = `${size} ${seed} ${device}`;
  const found = all.get(key)?.deref();
  if (found !== undefined && !found.hadamard.disposed) return found;
  const made = rotation(rt, size, seed, device);
  for (const t of [made.signs, made.hadamard, made.mix]) if (t !== undefined) keep(t);
  all.set(key, new WeakRef(made));
  return made;
}

/** x R over the last dimension, in x's dtype float32. */
export function rotated(x: Tensor, { signs, hadamard, mix }: Rotation): Tensor {
  return scope(() => {
    const [size, power] = [signs.shape[0] as number, hadamard.shape[0] as number];
    const turned = matmul(reshape(mul(x, signs), [-1, power]), hadamard);
    if (mix === undefined) return reshape(turned, x.shape);
    return reshape(matmul(mix, reshape(turned, [-1, size / power, power])), x.shape);
  });
}

/** A random orthogonal matrix [m, m]: Gram-Schmidt of normal numbers, twice for accuracy. */
function orthogonal(m: number, seed: number): Float32Array {
  const rows: Float64Array[] = [];
  for (let i = 0; i < m; i++) {
    const row = Float64Array.from({ length: m }, (_, j) => normal(seed, i * m + j));
    for (const _ of [0, 1]) {
      for (const other of rows) {
        const along = row.reduce((s, v, j) => s + v * (other[j] as number), 0);
        for (let j = 0; j < m; j++) row[j] = (row[j] as number) - along * (other[j] as number);
      }
    }
    const length = Math.hypot(...row);
    rows.push(row.map((v) => v / length));
  }
  return Float32Array.from(rows.flatMap((row) => [...row]));
}

/** Box-Muller of two draws. */
function normal(seed: number, element: number): number {
  const [a, b] = philox(seed, element, 1);
  return Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32)) * Math.cos((2 * Math.PI * b) / 2 ** 32);
}
