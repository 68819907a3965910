// A matrix of which each four neighbours in a row keep two, as those values [..., K / 2] and their places, uint8 [..., K / 8]
// (meta.ts), and back.
import { AoError, type Dense, type DType, defineOp, rawOf, storeRaw, type Tensor, uint8, valuesOf } from '@ao/core';
import { firstOf, largestTwo, nibbleAt, nibbleOf, putNibble, secondOf } from './meta.ts';

function shapeError(op: string, message: string, fix: string): AoError {
  return new AoError('ERR_AO_SHAPE', message, { op, fix });
}

const last = (t: Tensor): number => t.shape[t.ndim - 1] ?? 0;
const withLast = (t: Tensor, n: number): number[] => [...t.shape.slice(0, -1), n];

function compressed(values: Dense, meta: Dense, x: Dense): void {
  const codes = rawOf(x);
  const v = valuesOf(x);
  const kept = new x.dtype.array(codes.length / 2);
  const places = new Uint8Array(codes.length / 8);
  for (let g = 0; g < codes.length / 4; g++) {
    const nibble = nibbleOf(largestTwo(v, 4 * g));
    putNibble(places, g, nibble);
    kept[2 * g] = codes[4 * g + firstOf(nibble)]!;
    kept[2 * g + 1] = codes[4 * g + secondOf(nibble)]!;
  }
  storeRaw(values, kept);
  storeRaw(meta, places);
}

/**
 * [values, meta] of x [..., K], a float: of each four columns the two of largest magnitude, the lower first among equals. Throws
 * ERR_AO_SHAPE where K is no multiple of 8, ERR_AO_DTYPE where x is no float of 16 or 32 bits.
 */
export const sparse24Compress = /*@__PURE__*/ defineOp<[x: Tensor], [values: Tensor, meta: Tensor]>(
  'sparse24_compress',
  {
    meta(x) {
      const k = last(x);
      if (k === 0 || k % 8 !== 0)
        throw shapeError('sparse24_compress', `x [${x.shape}] has no multiple of 8 columns`, 'leave this weight dense');
      if (!['float32', 'bfloat16', 'float16'].includes(x.dtype.name))
        throw new AoError('ERR_AO_DTYPE', `x is ${x.dtype.name}`, {
          op: 'sparse24_compress',
          fix: 'compress a float32, bfloat16 or float16 weight, then quantize its values',
        });
      return [
        { shape: withLast(x, k / 2), dtype: x.dtype },
        { shape: withLast(x, k / 8), dtype: uint8 },
      ];
    },
    reference: ([values, meta]: [Dense, Dense], x: Dense) => compressed(values, meta, x),
  },
);

/** The matrix [..., K] of values [..., K / 2] of any dtype of whole bytes, zeros elsewhere. Throws ERR_AO_SHAPE. */
export const sparse24Expand = /*@__PURE__*/ defineOp<[values: Tensor, meta: Tensor]>('sparse24_expand', {
  meta(values, meta) {
    const k = 2 * last(values);
    if (k % 8 !== 0 || `${meta.shape}` !== `${withLast(values, k / 8)}` || meta.dtype !== uint8) {
      throw shapeError(
        'sparse24_expand',
        `meta ${meta.dtype.name} [${meta.shape}] does not fit values [${values.shape}]`,
        'give uint8 [..., K / 8] with values [..., K / 2]',
      );
    }
    return { shape: withLast(values, k), dtype: values.dtype };
  },
  reference(out: Dense, values: Dense, meta: Dense) {
    const kept = rawOf(values);
    const places = rawOf(meta) as Uint8Array;
    const codes = new (out.dtype as DType).array(2 * kept.length);
    for (let g = 0; g < kept.length / 2; g++) {
      const nibble = nibbleAt(places, g);
      codes[4 * g + firstOf(nibble)] = kept[2 * g]!;
      codes[4 * g + secondOf(nibble)] = kept[2 * g + 1]!;
    }
    storeRaw(out, codes);
  },
});

export type PruneAlgorithm = '' | 'largest_values_greedy' | 'largest_abs_values_greedy';

/** Positions of a 4 x 4 tile, the largest first, the earlier first among equals; two of each row and column at most. */
function keptOfTile(tile: Float64Array): number {
  const order = Array.from({ length: 16 }, (_, i) => i).sort((a, b) => tile[b]! - tile[a]! || a - b);
  const [rows, columns] = [new Uint8Array(4), new Uint8Array(4)];
  let mask = 0;
  for (const i of order) {
    const [r, c] = [i >> 2, i & 3];
    if (rows[r] === 2 || columns[c] === 2) continue;
    rows[r]! += 1;
    columns[c]! += 1;
    mask |= 1 << i;
  }
  return mask;
}

/**
 * x [N, K] with zeros so that rows and columns of each 4 x 4 tile keep at most two: both the matrix and its transpose are 2:4. By
 * value ('', torchao's default, and 'largest_values_greedy') or by magnitude. Throws ERR_AO_SHAPE.
 */
export const pruneTile4x4 = /*@__PURE__*/ defineOp<[x: Tensor, algorithm: PruneAlgorithm]>('prune_tile4x4', {
  meta(x, algorithm) {
    const [n = 0, k = 0] = x.shape;
    if (x.ndim !== 2 || n % 4 !== 0 || k % 4 !== 0)
      throw shapeError('prune_tile4x4', `x [${x.shape}] cannot be cut into 4 x 4 tiles`, 'leave this layer dense');
    if (!['', 'largest_values_greedy', 'largest_abs_values_greedy'].includes(algorithm))
      throw new AoError('ERR_AO_CONFIG', `algorithm '${algorithm}'`, {
        op: 'prune_tile4x4',
        fix: "use 'largest_values_greedy' or 'largest_abs_values_greedy'",
      });
    return { shape: x.shape, dtype: x.dtype };
  },
  reference(out: Dense, x: Dense, algorithm: PruneAlgorithm) {
    const [n, k] = x.shape as [number, number];
    const [codes, v] = [rawOf(x), valuesOf(x)];
    const kept = new x.dtype.array(codes.length);
    const tile = new Float64Array(16);
    const size = algorithm === 'largest_abs_values_greedy' ? Math.abs : (a: number) => a;
    for (let at = 0; at < n * k; at += 4) {
      const row = Math.floor(at / k);
      if (row % 4 !== 0) continue;
      for (let i = 0; i < 16; i++) tile[i] = size(v[at + (i >> 2) * k + (i & 3)]!);
      const mask = keptOfTile(tile);
      for (let i = 0; i < 16; i++) {
        const from = at + (i >> 2) * k + (i & 3);
        if (mask & (1 << i)) kept[from] = codes[from]!;
      }
    }
    storeRaw(out, kept);
  },
});
