// Kernels of a decoder layer: norms, rotary positions, the key-value cache and attention.

import { AoError } from '../errors.ts';
import { type KernelEntry, kernel } from '../extension.ts';
import { type AttentionOptions, attention, kvAppend_, rope, valueDim } from '../ops/attention.ts';
import { layerNorm, rmsNorm, siluMul } from '../ops/norm.ts';
import type { CodeRows } from '../ops/quant/code-rows.ts';
import { expand, slice, transpose } from '../ops/views.ts';
import { scope } from '../scope.ts';
import type { Dense } from '../tensor.ts';
import { decodeCodeRows, encodeCodeRows } from './code-rows.ts';
import { rawOf, rounding, store, storeRaw, valuesOf } from './memory.ts';

/** Rounds values to a tensor's dtype and back. */
function rounded(t: Dense): (x: number) => number {
  const { dtype } = t;
  return (x) => dtype.decode(dtype.encode(x));
}

/** The values of a cache of rows of n. */
const cached = (t: Dense, rows: CodeRows | undefined, n: number): ArrayLike<number> =>
  rows === undefined ? valuesOf(t) : decodeCodeRows(rows, valuesOf(t), n);

/** Attention, and where it is wanted log(sum(exp(scores))) of each query, float32 [B, Hq, T]; -infinity where it sees no key. */
export function attend(
  out: Dense,
  lse: Dense | undefined,
  q: Dense,
  k: Dense,
  v: Dense,
  pos: Dense | undefined,
  mask: Dense | undefined,
  options: AttentionOptions,
): void {
  const [B, T, Hq, D] = q.shape as [number, number, number, number];
  const [, Hkv, S] = k.shape as [number, number, number, number];
  const Dv = valueDim(v, options);
  const [qv, kv, vv] = [valuesOf(q), cached(k, options.keyRows, D), cached(v, options.valueRows, Dv)];
  const bias = mask && scope(() => valuesOf(expand(mask, [B, Hq, T, S]) as Dense));
  const starts = pos === undefined ? [S - T] : valuesOf(pos);
  const { scale = 1 / Math.sqrt(D), softcap = 0 } = options;
  const capped = (score: number): number => (softcap > 0 ? softcap * Math.tanh(score / softcap) : score);
  const result = new Float64Array(out.numel);
  const sums = new Float64Array(B * Hq * T).fill(Number.NEGATIVE_INFINITY);
  for (let b = 0; b < B; b++) {
    const past = starts[b % starts.length]!;
    for (let t = 0; t < T; t++) {
      const end = options.causal === true ? past + t + 1 : pos === undefined ? S : past + T;
      const begin = options.window === undefined ? 0 : Math.max(0, past + t + 1 - options.window);
      for (let h = 0; h < Hq; h++) {
        const head = b * Hkv + Math.floor(h / (Hq / Hkv));
        const qAt = ((b * T + t) * Hq + h) * D;
        const scores = new Float64Array(end - begin);
        let max = Number.NEGATIVE_INFINITY;
        for (let s = begin; s < end; s++) {
          let dot = 0;
          for (let i = 0; i < D; i++) dot += qv[qAt + i]! * kv[(head * S + s) * D + i]!;
          scores[s - begin] = capped(dot * scale) + (bias === undefined ? 0 : bias[((b * Hq + h) * T + t) * S + s]!);
          max = Math.max(max, scores[s - begin]!);
        }
        let total = 0;
        for (let s = 0; s < scores.length; s++)
          total += scores[s] = max === Number.NEGATIVE_INFINITY ? 0 : Math.exp(scores[s]! - max);
        const oAt = ((b * T + t) * Hq + h) * Dv;
        if (total === 0) continue;
        sums[(b * Hq + h) * T + t] = max + Math.log(total);
        for (let s = begin; s < end; s++) {
          const p = scores[s - begin]! / total;
          for (let i = 0; i < Dv; i++) result[oAt + i]! += p * vv[(head * S + s) * Dv + i]!;
        }
      }
    }
  }
  store(out, result);
  if (lse !== undefined) store(lse, sums);
}

export const decoder = (): KernelEntry[] => [
  kernel(rmsNorm, 'reference', (out, x, w, eps, offset = 0) => {
    const f = rounding(x);
    const to = rounded(x);
    const v = valuesOf(x);
    const g = valuesOf(w);
    const D = g.length;
    const result = new Float64Array(v.length);
    for (let at = 0; at < v.length; at += D) {
      let sum = 0;
      for (let i = 0; i < D; i++) sum += v[at + i]! ** 2;
      const inverse = f(1 / Math.sqrt(f(f(sum / D) + f(eps))));
      for (let i = 0; i < D; i++) {
        const y = f(v[at + i]! * inverse);
        result[at + i] = offset === 0 ? to(y) * g[i]! : y * f(offset + g[i]!);
      }
    }
    store(out, result);
  }),
  kernel(layerNorm, 'reference', (out, x, w, b, eps) => {
    const v = valuesOf(x);
    const g = valuesOf(w);
    const h = valuesOf(b);
    const D = g.length;
    const result = new Float64Array(v.length);
    for (let at = 0; at < v.length; at += D) {
      let mean = 0;
      let square = 0;
      for (let i = 0; i < D; i++) mean += v[at + i]! / D;
      for (let i = 0; i < D; i++) square += (v[at + i]! - mean) ** 2 / D;
      const inverse = 1 / Math.sqrt(square + eps);
      for (let i = 0; i < D; i++) result[at + i] = (v[at + i]! - mean) * inverse * g[i]! + h[i]!;
    }
    store(out, result);
  }),
  kernel(siluMul, 'reference', (out, gate, up) => {
    const to = rounded(gate);
    const u = valuesOf(up);
    store(
      out,
      Float64Array.from(valuesOf(gate), (g, i) => to(g / (1 + Math.exp(-g))) * u[i]!),
    );
  }),
  kernel(rope, 'reference', (out, x, cos, sin, positions) => {
    const [, , H, D] = x.shape as [number, number, number, number];
    const half = cos.shape[1]!;
    const [v, c, s, p] = [valuesOf(x), valuesOf(cos), valuesOf(sin), valuesOf(positions)];
    const result = Float64Array.from(v);
    for (let at = 0, row = 0; at < v.length; at += D, row++) {
      const position = p[Math.floor(row / H) % p.length]!;
      if (position < 0 || position >= cos.shape[0]!) {
        throw new AoError('ERR_AO_STREAM', `position ${position} is outside the ${cos.shape[0]} rows of cos`, {
          op: 'rope',
          fix: 'make longer tables',
        });
      }
      for (let i = 0; i < half; i++) {
        const [a, b] = [v[at + i]!, v[at + half + i]!];
        const [ci, si] = [c[position * half + i]!, s[position * half + i]!];
        result[at + i] = a * ci - b * si;
        result[at + half + i] = b * ci + a * si;
      }
    }
    store(out, result);
  }),
  kernel(
    kvAppend_,
    'reference',
    (cache, _, x, pos, rows) => {
      const starts = valuesOf(pos);
      const [B, T] = x.shape as [number, number];
      const room = cache.shape[2]!;
      for (const start of starts) {
        if (start < 0 || start + T > room) {
          throw new AoError('ERR_AO_STREAM', `positions ${start}..${start + T} are outside the cache of ${room}`, {
            op: 'kv_append_',
            fix: 'make a longer cache',
          });
        }
      }
      scope(() => {
        for (let b = 0; b < B; b++) {
          const start = starts[b % starts.length]!;
          const target = slice(slice(cache, 0, b, b + 1), 2, start, start + T) as Dense;
          const own = transpose(slice(x, 0, b, b + 1), 1, 2) as Dense;
          if (rows !== undefined) storeRaw(target, encodeCodeRows(rows, valuesOf(own), x.shape[3]!));
          else if (own.dtype === target.dtype) storeRaw(target, rawOf(own));
          else store(target, valuesOf(own));
        }
      });
    },
    { strided: true },
  ),
  kernel(attention, 'reference', (out, ...args) => attend(out, undefined, ...args), { strided: true }),
];
