// Rotary positions, the key-value cache, attention, processed logits and sampling.
import * as ao from '@ao/core';
import { type AttentionOptions, type CodeRows, type Dense, type KernelEntry, kernel } from '@ao/core';
import { address, addressOr, broadcastStrides, calls } from './support.ts';

/** t itself where its last dimension is contiguous, else a copy. */
export function innermost(t: Dense): Dense {
  return t.strides[3] === 1 ? t : (ao.contiguous(t) as Dense);
}

/** Bits and whether there is an offset; 0 bits where rows hold floats. */
const codes = (rows: CodeRows | undefined): [bits: number, asymmetric: number] =>
  rows === undefined ? [0, 0] : [rows.bits, rows.asymmetric ? 1 : 0];

/** Attention on the sdpa kernel, and where it is wanted log(sum(exp(scores))). */
export function sdpa(
  out: Dense,
  lse: Dense | undefined,
  q: Dense,
  k: Dense,
  v: Dense,
  pos: Dense | undefined,
  mask: Dense | undefined,
  options: AttentionOptions,
): void {
  ao.scope(() => {
    const [qs, ks, vs] = [innermost(q), innermost(k), innermost(v)];
    const [batch, tokens, qHeads, dim] = q.shape as [number, number, number, number];
    const [, kvHeads, keys] = k.shape as [number, number, number];
    calls(out).sdpa(
      address(out),
      address(qs),
      address(ks),
      address(vs),
      addressOr(mask),
      addressOr(pos && (ao.contiguous(pos) as Dense)),
      pos?.numel ?? 0,
      batch,
      tokens,
      qHeads,
      kvHeads,
      dim,
      out.shape[3]!,
      keys,
      keys - tokens,
      options.causal === true ? 1 : 0,
      options.window ?? 0,
      options.scale ?? 1 / Math.sqrt(dim),
      options.softcap ?? 0,
      qs.strides.slice(0, 3),
      ks.strides.slice(0, 3),
      vs.strides.slice(0, 3),
      mask === undefined ? [] : broadcastStrides(mask, [batch, qHeads, tokens, keys]),
      q.dtype.code,
      (options.keyRows === undefined ? k : v).dtype.code,
      ...codes(options.keyRows),
      ...codes(options.valueRows),
      addressOr(lse),
    );
  });
}

export const decoderKernels = (): KernelEntry[] => [
  kernel(ao.rope, 'cpu', (out, x, cos, sin, positions) => {
    const [batch, tokens, heads, dim] = x.shape as [number, number, number, number];
    calls(out).rope(
      address(out),
      address(x),
      address(cos),
      address(sin),
      address(positions),
      batch * tokens,
      heads,
      dim,
      2 * cos.shape[1]!,
      heads * dim,
      dim,
      positions.numel,
      cos.shape[0]!,
      x.dtype.code,
    );
  }),
  kernel(
    ao.kvAppend_,
    'cpu',
    (cache, _, x, pos, rows) =>
      ao.scope(() => {
        const target = innermost(cache);
        const source = innermost(x);
        const [batch, tokens, heads, dim] = x.shape as [number, number, number, number];
        calls(cache).kv_append(
          address(target),
          address(source),
          address(ao.contiguous(pos) as Dense),
          pos.numel,
          batch,
          tokens,
          heads,
          dim,
          cache.shape[2]!,
          target.strides.slice(0, 3),
          source.strides.slice(0, 3),
          cache.dtype.code,
          x.dtype.code,
          ...codes(rows),
        );
        if (target !== cache) ao.copy_(cache, target);
      }),
    { strided: true },
  ),
  kernel(ao.attention, 'cpu', (out, ...args) => sdpa(out, undefined, ...args), { strided: true }),
  kernel(ao.sample_, 'cpu', (token, _, logits, state, options) =>
    calls(token).sample(
      address(token),
      address(state),
      address(logits),
      logits.shape[0]!,
      logits.shape[1]!,
      logits.dtype.code,
      options.temperature,
      options.topK,
      options.topP,
      options.minP ?? 0,
    ),
  ),
  kernel(ao.processLogitsOp, 'cpu', (out, _, history, lengths, token, bias, ends, mask, options) =>
    calls(out).process_logits(
      address(out),
      addressOr(history),
      addressOr(lengths),
      addressOr(token),
      addressOr(bias),
      addressOr(ends),
      addressOr(mask),
      out.shape[0]!,
      out.shape[1]!,
      history?.shape[1] ?? 0,
      ends?.numel ?? 0,
      options.minNewTokens,
      options.noRepeatNgramSize,
      options.repetitionPenalty,
      options.frequencyPenalty,
      options.presencePenalty,
    ),
  ),
];
