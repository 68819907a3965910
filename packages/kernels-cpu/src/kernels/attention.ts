// Rotary positions, the key-value cache, attention and sampling.
import * as ao from '@ao/core';
import { kernel, type KernelEntry } from '@ao/core';
import { address, addressOr, calls } from './support.ts';

export const decoderKernels = (): KernelEntry[] => [
  kernel(ao.rope, 'cpu', (out, x, cos, sin, positions) => {
    const [batch, tokens, heads, dim] = x.shape as [number, number, number, number];
    calls(out).rope(
      address(out), address(x), address(cos), address(sin), address(positions), batch * tokens, heads, dim, dim, heads * dim, dim,
      tokens, cos.shape[0]!, x.dtype.code,
    );
  }),
  kernel(
    ao.kvAppend_,
    'cpu',
    (cache, _, x, pos) => {
      const [batch, tokens, heads, dim] = x.shape as [number, number, number, number];
      calls(cache).kv_append(
        address(cache), address(x), address(pos), batch, tokens, heads, dim, cache.shape[2]!, cache.strides.slice(0, 3),
        x.strides.slice(0, 3), x.dtype.code,
      );
    },
    { strided: true, when: (cache, x) => cache.strides[3] === 1 && x.strides[3] === 1 },
  ),
  kernel(
    ao.attention,
    'cpu',
    (out, q, k, v, pos, mask, options) => {
      const [batch, tokens, qHeads, dim] = q.shape as [number, number, number, number];
      const [, kvHeads, keys] = k.shape as [number, number, number];
      calls(out).sdpa(
        address(out), address(q), address(k), address(v), addressOr(mask), addressOr(pos), batch, tokens, qHeads, kvHeads, dim,
        v.shape[3]!, keys, keys - tokens, options.causal === true ? 1 : 0, options.window ?? 0,
        options.scale ?? 1 / Math.sqrt(dim), q.strides.slice(0, 3), k.strides.slice(0, 3), v.strides.slice(0, 3),
        mask === undefined ? [] : [0, 0, ...mask.strides], q.dtype.code,
      );
    },
    { strided: true, when: (q, k, v) => [q, k, v].every((t) => t.strides[3] === 1) },
  ),
  kernel(ao.sample_, 'cpu', (token, _, logits, state, options) =>
    calls(token).sample(
      address(token), address(state), address(logits), logits.numel, logits.dtype.code, options.temperature, options.topK,
      options.topP, 0,
    ),
  ),
];
