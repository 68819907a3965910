// Derivatives of a decoder's ops: norms, gates, rotary positions, attention, embeddings and cross entropy.
import { arange } from '../../create.ts';
import type { VjpEntry } from '../../extension.ts';
import { type AttentionOptions, attention, rope } from '../../ops/attention.ts';
import * as b from '../../ops/binary.ts';
import { cast, cat } from '../../ops/copy.ts';
import { embedding, gather } from '../../ops/embedding.ts';
import { matmul } from '../../ops/matmul.ts';
import { layerNorm, rmsNorm, siluMul } from '../../ops/norm.ts';
import { mean } from '../../ops/reduce.ts';
import { logSoftmax, negativeLogLikelihood, softmax } from '../../ops/softmax.ts';
import * as u from '../../ops/unary.ts';
import { expand, reshape, slice, transpose, unsqueeze } from '../../ops/views.ts';
import type { Tensor } from '../../tensor.ts';
import { composed } from '../composed.ts';
import { vjp } from '../vjp.ts';

const { add, sub, mul, where } = b;

/** Rows of a table at positions, shaped to meet x [B, T, H, R/2]. */
const angles = (table: Tensor, positions: Tensor): Tensor => {
  const rows = embedding(table, positions);
  return unsqueeze(positions.ndim === 2 ? rows : unsqueeze(rows, 0), 2);
};

function rotated(x: Tensor, cos: Tensor, sin: Tensor, positions: Tensor): Tensor {
  const half = cos.shape[1]!;
  const [c, s] = [cast(angles(cos, positions), x.dtype), cast(angles(sin, positions), x.dtype)];
  const [p, q] = [slice(x, 3, 0, half), slice(x, 3, half, 2 * half)];
  const parts = [sub(mul(p, c), mul(q, s)), add(mul(q, c), mul(p, s))];
  if (2 * half < x.shape[3]!) parts.push(slice(x, 3, 2 * half));
  return cat(parts, 3);
}

/** Which keys a query may see: bool [B or 1, 1, T, S], or undefined for all. */
function visible(q: Tensor, k: Tensor, pos: Tensor | undefined, o: AttentionOptions): Tensor | undefined {
  const [t, s] = [q.shape[1]!, k.shape[2]!];
  if (o.causal !== true && o.window === undefined && pos === undefined) return undefined;
  const at = { device: q.device };
  const past = pos === undefined ? s - t : reshape(pos, [-1, 1, 1, 1]);
  const query = add(reshape(arange(q.rt, 0, t, 1, at), [1, 1, t, 1]), past);
  const key = reshape(arange(q.rt, 0, s, 1, at), [1, 1, 1, s]);
  let seen = b.le(key, o.causal === true ? query : pos === undefined ? s : add(past, t - 1));
  if (o.window !== undefined) seen = b.minimum(seen, b.gt(key, sub(query, o.window)));
  return seen;
}

function attended(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  pos: Tensor | undefined,
  mask: Tensor | undefined,
  o: AttentionOptions,
): Tensor {
  const [batch, t, heads, d] = q.shape as [number, number, number, number];
  const [, kv, s] = k.shape as [number, number, number];
  const grouped = (x: Tensor): Tensor =>
    reshape(expand(unsqueeze(x, 2), [batch, kv, heads / kv, s, x.shape[3]!]), [batch, heads, s, x.shape[3]!]);
  let scores = mul(matmul(transpose(q, 1, 2), transpose(grouped(k), 2, 3)), o.scale ?? 1 / Math.sqrt(d));
  if (o.softcap !== undefined) scores = mul(u.tanh(mul(scores, 1 / o.softcap)), o.softcap);
  if (mask !== undefined) scores = add(scores, cast(mask, scores.dtype));
  const seen = visible(q, k, pos, o);
  if (seen !== undefined) scores = where(expand(seen, scores.shape), scores, Number.NEGATIVE_INFINITY);
  return reshape(transpose(matmul(softmax(scores), grouped(v)), 1, 2), [batch, t, heads, v.shape[3]!]);
}

export const decoderRules = (): VjpEntry[] => [
  composed(rmsNorm, (x, w, eps, offset = 0) =>
    mul(mul(x, u.rsqrt(add(mean(mul(x, x), -1, true), eps))), offset === 0 ? w : add(w, offset)),
  ),
  composed(layerNorm, (x, w, bias, eps) => {
    const centred = sub(x, mean(x, -1, true));
    return add(mul(mul(centred, u.rsqrt(add(mean(mul(centred, centred), -1, true), eps))), w), bias);
  }),
  composed(siluMul, (gate, up) => mul(u.silu(gate), up)),
  composed(rope, rotated),
  composed(attention, attended),
  composed(negativeLogLikelihood, (logits, targets, ignoreIndex) => {
    const rows = reshape(b.maximum(targets, 0), [-1, 1]);
    const own = reshape(gather(logSoftmax(logits), 1, rows), [-1]);
    return where(b.ne(targets, ignoreIndex), u.neg(own), 0);
  }),
  vjp(embedding, (ctx, _, weight, indices) => {
    const ids = ctx.save(indices);
    return (g) => {
      const [rows, dim] = weight.shape as [number, number];
      const row = reshape(arange(g.rt, 0, rows, 1, { device: g.device }), [rows, 1]);
      const chosen = cast(b.eq(row, reshape(ids(), [1, -1])), g.dtype);
      return [matmul(chosen, reshape(g, [-1, dim])), null];
    };
  }),
  vjp(gather, (ctx, _, x, dim, index) => {
    const at = ctx.save(index);
    return (g) => {
      const d = dim < 0 ? dim + x.ndim : dim;
      const n = x.shape[d]!;
      const row = reshape(
        arange(g.rt, 0, n, 1, { device: g.device }),
        x.shape.map((_n, i) => (i === d ? n : 1)),
      );
      // only where the index is as large as x elsewhere: one chosen element for each line of x
      const picks = Array.from({ length: at().shape[d]! }, (_p, i) => {
        const [own, value] = [slice(at(), d, i, i + 1), slice(g, d, i, i + 1)];
        return where(b.eq(row, own), value, 0);
      });
      return [picks.reduce((a, c) => add(a, c)), null, null];
    };
  }),
];
