// One line of wiring: attention's gradient on the sdpa_backward kernel.
import type { AttentionOptions, Dense } from '@ao/core';
import * as ao from '@ao/core';
import { innermost } from './attention.ts';
import { address, addressOr, broadcastStrides, calls } from './support.ts';

export function attentionBackward(
  [dq, dk, dv]: readonly [Dense, Dense, Dense],
  g: Dense,
  q: Dense,
  k: Dense,
  v: Dense,
  out: Dense,
  lse: Dense | undefined,
  pos: Dense | undefined,
  mask: Dense | undefined,
  options: AttentionOptions,
): void {
  ao.scope(() => {
    const [qs, ks, vs] = [innermost(q), innermost(k), innermost(v)];
    const whole = (t: Dense | undefined): Dense | undefined => t && (ao.contiguous(t) as Dense);
    const [batch, tokens, qHeads, dim] = q.shape as [number, number, number, number];
    const [, kvHeads, keys, vDim] = v.shape as [number, number, number, number];
    calls(dq).sdpa_backward(
      address(dq),
      address(dk),
      address(dv),
      address(whole(g)!),
      address(qs),
      address(ks),
      address(vs),
      address(whole(out)!),
      addressOr(mask),
      addressOr(whole(pos)),
      pos?.numel ?? 0,
      batch,
      tokens,
      qHeads,
      kvHeads,
      dim,
      vDim,
      keys,
      keys - tokens,
      options.causal === true ? 1 : 0,
      options.window ?? 0,
      options.scale ?? 1 / Math.sqrt(dim),
      options.softcap ?? 0,
      qs.strides.slice(0, 3),
      ks.strides.slice(0, 3),
      vs.strides.slice(0, 3),
      mask === undefined ? [0, 0, 0, 0] : broadcastStrides(mask, [batch, qHeads, tokens, keys]),
      q.dtype.code,
      addressOr(whole(lse)),
    );
  });
}
