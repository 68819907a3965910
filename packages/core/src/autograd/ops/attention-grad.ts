// The gradient of attention. With the scores s and probabilities p of a query i and key j, and c' the slope of the soft cap:
//   dv[j] = sum_i p g[i]    ds = p (g[i] . v[j] - g[i] . out[i]) c' scale    dq[i] = sum_j ds k[j]    dk[j] = sum_i ds q[i]
import { float32 } from '../../dtypes/index.ts';
import { AoError } from '../../errors.ts';
import { defineOp } from '../../op.ts';
import { type AttentionOptions, attention } from '../../ops/attention.ts';
import { requireDtype, requireSameDtype, requireShape } from '../../ops/checks.ts';
import { expand } from '../../ops/views.ts';
import { attend } from '../../reference/decoder.ts';
import { store, valuesOf } from '../../reference/memory.ts';
import { scope } from '../../scope.ts';
import type { Dense, Tensor } from '../../tensor.ts';

function attentionReference(
  outs: Dense[],
  g: Dense,
  q: Dense,
  k: Dense,
  v: Dense,
  out: Dense,
  _lse: Dense | undefined,
  pos: Dense | undefined,
  mask: Dense | undefined,
  options: AttentionOptions,
): void {
  const [B, T, Hq, D] = q.shape as [number, number, number, number];
  const [, Hkv, S, Dv] = v.shape as [number, number, number, number];
  const [gv, qv, kv, vv, ov] = [valuesOf(g), valuesOf(q), valuesOf(k), valuesOf(v), valuesOf(out)];
  const bias = mask && scope(() => valuesOf(expand(mask, [B, Hq, T, S]) as Dense));
  const starts = pos === undefined ? [S - T] : valuesOf(pos);
  const { scale = 1 / Math.sqrt(D), softcap = 0 } = options;
  const [dq, dk, dv] = [q, k, v].map((t) => new Float64Array(t.numel)) as [Float64Array, Float64Array, Float64Array];
  const dot = (a: ArrayLike<number>, at: number, b: ArrayLike<number>, to: number, n: number): number => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += a[at + i]! * b[to + i]!;
    return sum;
  };
  const add = (sum: Float64Array, at: number, factor: number, x: ArrayLike<number>, from: number, n: number): void => {
    for (let i = 0; i < n; i++) sum[at + i]! += factor * x[from + i]!;
  };
  for (let row = 0; row < B * T * Hq; row++) {
    const [b, t, h] = [Math.floor(row / (T * Hq)), Math.floor(row / Hq) % T, row % Hq];
    const head = b * Hkv + Math.floor(h / (Hq / Hkv));
    const past = starts[b % starts.length]!;
    const end = options.causal === true ? past + t + 1 : pos === undefined ? S : past + T;
    const begin = options.window === undefined ? 0 : Math.max(0, past + t + 1 - options.window);
    const keys = Array.from({ length: Math.max(0, end - begin) }, (_, i) => begin + i);
    const raw = keys.map((s) => dot(qv, row * D, kv, (head * S + s) * D, D) * scale);
    const capped = raw.map((s) => (softcap > 0 ? softcap * Math.tanh(s / softcap) : s));
    const scores = capped.map((s, i) => s + (bias === undefined ? 0 : bias[((b * Hq + h) * T + t) * S + keys[i]!]!));
    const max = scores.reduce((a, c) => Math.max(a, c), Number.NEGATIVE_INFINITY);
    if (max === Number.NEGATIVE_INFINITY) continue;
    const total = scores.reduce((a, c) => a + Math.exp(c - max), 0);
    const delta = dot(gv, row * Dv, ov, row * Dv, Dv);
    for (const [i, s] of keys.entries()) {
      const [p, key] = [Math.exp(scores[i]! - max) / total, head * S + s];
      const slope = softcap > 0 ? 1 - (capped[i]! / softcap) ** 2 : 1;
      const ds = p * (dot(gv, row * Dv, vv, key * Dv, Dv) - delta) * slope * scale;
      add(dv, key * Dv, p, gv, row * Dv, Dv);
      add(dq, row * D, ds, kv, key * D, D);
      add(dk, key * D, ds, qv, row * D, D);
    }
  }
  for (const [i, values] of [dq, dk, dv].entries()) store(outs[i]!, values);
}

function requireLse(op: string, lse: Tensor, q: Tensor): void {
  const [b, t, h] = q.shape as [number, number, number];
  requireDtype(op, 'lse', lse, [float32]);
  requireShape(op, 'lse', lse, [b, h, t]);
}

/**
 * attention, and log(sum(exp(scores))) of each query, float32 [B, Hq, T], -infinity where it sees no key: what backward makes probabilities
 * of again.
 */
export const attentionWithLse = /*@__PURE__*/ defineOp<
  [q: Tensor, k: Tensor, v: Tensor, pos: Tensor | undefined, mask: Tensor | undefined, options: AttentionOptions],
  [out: Tensor, lse: Tensor]
>('attention_with_lse', {
  reference: ([out, lse], q, k, v, pos, mask, options) => attend(out!, lse, q, k, v, pos, mask, options),
  meta(q, k, v, pos, mask, options) {
    const out = attention.spec.meta(q, k, v, pos, mask, options);
    const [b, t, h] = q.shape as [number, number, number];
    return [out, { shape: [b, h, t], dtype: float32 }];
  },
});

/**
 * g and out [B, T, Hq, Dv], and attention's own arguments, all of one dtype -> [dq, dk, dv] in the shapes of q, k and v. `out` is what
 * attention returned, `lse` what attentionWithLse did besides, from which backends need not find it anew; the mask has no gradient.
 */
export const attentionBackward = /*@__PURE__*/ defineOp<
  [
    g: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor | undefined,
    pos: Tensor | undefined,
    mask: Tensor | undefined,
    options: AttentionOptions,
  ],
  [dq: Tensor, dk: Tensor, dv: Tensor]
>('attention_backward', {
  reference: attentionReference,
  meta(g, q, k, v, out, lse, pos, mask, options) {
    const op = 'attention_backward';
    if (options.keyRows !== undefined || options.valueRows !== undefined) {
      throw new AoError('ERR_AO_CONFIG', 'keys or values are codes, which have no gradient', {
        op,
        fix: 'train with floats: no keyRows and valueRows',
      });
    }
    const { shape } = attention.spec.meta(q, k, v, pos, mask, options);
    for (const [name, t] of [
      ['k', k],
      ['v', v],
      ['g', g],
      ['out', out],
    ] as const)
      requireSameDtype(op, ['q', q], [name, t]);
    requireShape(op, 'g', g, shape);
    requireShape(op, 'out', out, shape);
    if (lse !== undefined) requireLse(op, lse, q);
    const like = (t: Tensor) => ({ shape: t.shape, dtype: t.dtype });
    return [like(q), like(k), like(v)];
  },
});
