// Attention of a decoder: rotary positions, the key-value cache, and scaled dot products with grouped queries.

import { bfloat16, float16, float32, int32, uint8 } from '../dtypes/index.ts';
import { AoError } from '../errors.ts';
import { defineOp } from '../op.ts';
import { scope } from '../scope.ts';
import type { Tensor } from '../tensor.ts';
import { requireDtype, requireFloat, requireNdim, requireSameDtype, requireShape, shapeError } from './checks.ts';
import { type CodeRows, codeRowBytes, codeRowLength } from './quant/code-rows.ts';
import { transpose } from './views.ts';

/**
 * Rotates the two halves of each head's first R values: out = x * cos + rotate_half(x) * sin at the row's position; the rest
 * is as it was. x [B, T, H, D], cos and sin float32 [P, R/2] with R <= D, positions int32 [T] or [B, T].
 */
export const rope = /*@__PURE__*/ defineOp<[x: Tensor, cos: Tensor, sin: Tensor, positions: Tensor]>('rope', {
  meta(x, cos, sin, positions) {
    requireFloat('rope', 'x', x);
    requireNdim('rope', 'x', x, 4);
    const [b, t, , d] = x.shape as [number, number, number, number];
    const half = Math.min(cos.shape[1] ?? 0, Math.floor(d / 2));
    for (const [name, table] of [
      ['cos', cos],
      ['sin', sin],
    ] as const) {
      requireDtype('rope', name, table, [float32]);
      requireShape('rope', name, table, [cos.shape[0]!, half]);
    }
    requireDtype('rope', 'positions', positions, [int32]);
    requireShape('rope', 'positions', positions, positions.ndim === 2 ? [b, t] : [t]);
    return { shape: x.shape, dtype: x.dtype };
  },
});

/** `pos`: one position for all sequences, or one for each. */
function requirePos(op: string, pos: Tensor, batch: number): void {
  requireDtype(op, 'pos', pos, [int32]);
  requireShape(op, 'pos', pos, [pos.shape[0] === 1 ? 1 : batch]);
}

/** A cache has the dtype of what goes in and out, or holds float32 rounded to 16 bits, or code rows of any float. */
function requireCacheDtype(
  op: string,
  x: readonly [name: string, Tensor],
  cache: readonly [name: string, Tensor],
  rows: CodeRows | undefined,
): void {
  if (rows !== undefined) {
    requireFloat(op, ...x);
    requireDtype(op, ...cache, [uint8]);
  } else if (x[1].dtype === float32) requireDtype(op, cache[0], cache[1], [float32, bfloat16, float16]);
  else requireSameDtype(op, x, cache);
}

/** The last dimension of a cache of rows of d values. */
const rowLength = (rows: CodeRows | undefined, d: number): number => (rows === undefined ? d : codeRowBytes(rows, d));

/**
 * Writes x [B, T, H, D] into cache [B, H, P, D] at positions pos .. pos + T; pos is an int32 [1] or [B]. With `rows` the cache is
 * uint8 [B, H, P, R] of code rows.
 */
export const kvAppend_ = /*@__PURE__*/ defineOp<[cache: Tensor, x: Tensor, pos: Tensor, rows?: CodeRows | undefined]>(
  'kv_append_',
  {
    mutates: 0,
    meta(cache, x, pos, rows) {
      requireNdim('kv_append_', 'x', x, 4);
      const [b, , h, d] = x.shape as [number, number, number, number];
      requireShape('kv_append_', 'cache', cache, [b, h, cache.shape[2] ?? 0, rowLength(rows, d)]);
      requireCacheDtype('kv_append_', ['x', x], ['cache', cache], rows);
      requirePos('kv_append_', pos, b);
      return { shape: cache.shape, dtype: cache.dtype };
    },
  },
);

export interface AttentionOptions {
  /** Default 1/sqrt(D). */
  readonly scale?: number;
  /** Query t sees keys up to past + t; past is `pos` where given, else S - T. */
  readonly causal?: boolean;
  /** int32 [1] or [B]: keys before the first query; keys beyond pos + T are not looked at. */
  readonly pos?: Tensor;
  /** Added to the scores: float32 [T, S], or [B, Hq, T, S] where any size may be 1; a query that -infinity hides all keys from gives 0. */
  readonly mask?: Tensor;
  /** Query at position p sees keys above p - window only. */
  readonly window?: number;
  /** Scores s become softcap * tanh(s / softcap), before the mask. */
  readonly softcap?: number;
  /** k is uint8 [B, Hkv, S, R] of code rows of D values. */
  readonly keyRows?: CodeRows | undefined;
  /** The same of v. */
  readonly valueRows?: CodeRows | undefined;
}

/** Values of a head in v. */
export const valueDim = (v: Tensor, { valueRows }: AttentionOptions): number =>
  valueRows === undefined ? v.shape[3]! : codeRowLength(valueRows, v.shape[3]!);

/** q [B, T, Hq, D], k and v [B, Hkv, S, D] with Hkv dividing Hq -> [B, T, Hq, D]. Keys and values may have 16 bits, or codes. */
export const attention = /*@__PURE__*/ defineOp<
  [q: Tensor, k: Tensor, v: Tensor, pos: Tensor | undefined, mask: Tensor | undefined, options: AttentionOptions]
>('attention', {
  meta(q, k, v, pos, mask, options) {
    const { softcap, keyRows, valueRows } = options;
    requireFloat('attention', 'q', q);
    requireNdim('attention', 'q', q, 4);
    requireNdim('attention', 'k', k, 4);
    requireCacheDtype('attention', ['q', q], ['k', k], keyRows);
    requireCacheDtype('attention', ['q', q], ['v', v], valueRows);
    if (keyRows === undefined && valueRows === undefined) requireSameDtype('attention', ['k', k], ['v', v]);
    const [b, t, hq, d] = q.shape as [number, number, number, number];
    const [, hkv, s] = k.shape as [number, number, number, number];
    requireShape('attention', 'k', k, [b, hkv, s, rowLength(keyRows, d)]);
    const vd = valueDim(v, options);
    requireShape('attention', 'v', v, [b, hkv, s, rowLength(valueRows, vd)]);
    if (hq % hkv !== 0) throw shapeError('attention', `${hq} query heads for ${hkv} key heads`, 'use a multiple');
    if (pos !== undefined) requirePos('attention', pos, b);
    if (mask !== undefined) {
      requireDtype('attention', 'mask', mask, [float32]);
      const full = [b, hq, t, s];
      const wanted = mask.ndim === 4 ? full.map((n, i) => (mask.shape[i] === 1 ? 1 : n)) : [t, s];
      requireShape('attention', 'mask', mask, wanted);
    }
    if (softcap !== undefined && !(softcap > 0)) {
      throw new AoError('ERR_AO_CONFIG', `softcap is ${softcap}`, {
        op: 'attention',
        fix: 'give a number above 0, or none',
      });
    }
    return { shape: [b, t, hq, vd], dtype: q.dtype };
  },
});

/** torch's scaled_dot_product_attention with enable_gqa: q [B, Hq, T, D], k and v [B, Hkv, S, D] -> [B, Hq, T, D]. */
export function scaledDotProductAttention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  return scope(() => transpose(attention(transpose(q, 1, 2), k, v, options.pos, options.mask, options), 1, 2));
}
