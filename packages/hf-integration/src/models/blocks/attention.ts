// Attention with rotary positions and grouped queries over a cache, or over themselves: o(attention(rope(q), rope(k), v)), q and k normed before
// where the spec says so.
//   x [B, T, H]; q [B, T, Hq, D]; k, v [B, T, Hkv, D]; cache [B, Hkv, P, D]
import {
  type AttentionOptions,
  attention,
  kvAppend_,
  type Linear,
  linearAdd,
  linears,
  Module,
  type RMSNorm,
  reshape,
  rope,
  slice,
  type Tensor,
  transpose,
} from '@ao/core';
import type { Step } from '../causal-lm.ts';
import type { KVCache } from '../kv-cache.ts';
import type { Tables } from '../rope-table.ts';
import type { NormSpec, Weights } from './weights.ts';

export interface AttentionSpec {
  readonly hiddenSize: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly qkvBias?: boolean;
  readonly outBias?: boolean;
  /** One projection qkv_proj of all three. */
  readonly fused?: boolean;
  /** RMSNorm of queries and keys: of each head, or of all heads together. */
  readonly norm?: NormSpec & { readonly over: 'head' | 'projection' };
  readonly scale?: number | undefined;
  readonly window?: number | undefined;
  readonly softcap?: number | undefined;
  /** Which of the model's rotary tables; null = none, queries and keys stay as they are. */
  readonly rope?: number | null;
}

type Three = readonly [q: Tensor, k: Tensor, v: Tensor];

// The order of fields is the order of names in files: as in transformers.
export class Attention extends Module {
  qkv_proj: Linear | undefined;
  q_proj: Linear | undefined;
  k_proj: Linear | undefined;
  v_proj: Linear | undefined;
  o_proj: Linear;
  q_norm: RMSNorm | undefined;
  k_norm: RMSNorm | undefined;
  readonly #spec: AttentionSpec;
  readonly #options: AttentionOptions;
  readonly #layer: number;

  constructor(spec: AttentionSpec, weights: Weights, layer: number) {
    super();
    const { hiddenSize: h, headDim: d, norm, qkvBias } = spec;
    const [q, kv] = [spec.heads * d, spec.kvHeads * d];
    if (spec.fused) this.qkv_proj = weights.linear('qkv_proj', q + 2 * kv, h, qkvBias);
    else {
      this.q_proj = weights.linear('q_proj', q, h, qkvBias);
      this.k_proj = weights.linear('k_proj', kv, h, qkvBias);
      this.v_proj = weights.linear('v_proj', kv, h, qkvBias);
    }
    this.o_proj = weights.linear('o_proj', h, q, spec.outBias);
    if (norm) {
      this.q_norm = weights.norm('q_norm', norm.over === 'head' ? d : q, norm);
      this.k_norm = weights.norm('k_norm', norm.over === 'head' ? d : kv, norm);
    }
    this.#spec = spec;
    this.#options = {
      causal: true,
      ...(spec.scale === undefined ? {} : { scale: spec.scale }),
      ...(spec.window === undefined ? {} : { window: spec.window }),
      ...(spec.softcap === undefined ? {} : { softcap: spec.softcap }),
    };
    this.#layer = layer;
  }

  /** The output projection, added to `residual` where it is given. */
  forward = (
    x: Tensor,
    residual: Tensor | undefined,
    { cache, positions }: Step,
    tables: readonly Tables[],
  ): Tensor => {
    const { headDim, rope: table = 0 } = this.#spec;
    const [b, t] = x.shape as [number, number, number];
    const rotated = (y: Tensor): Tensor => (table === null ? y : rope(y, ...tables[table]!, positions));
    const [q, k, v] = this.#project(x);
    // a rank of a tensor parallel model has a part of the heads
    const [heads, kvHeads] = [q.shape[2]! / headDim, k.shape[2]! / headDim];
    const key = rotated(this.#split(k, kvHeads, this.k_norm));
    const value = reshape(v, [b, t, kvHeads, headDim]);
    const query = rotated(this.#split(q, heads, this.q_norm));
    const seen = cache === undefined ? this.#alone(query, key, value) : this.#cached(query, key, value, cache);
    const mixed = reshape(seen, [b, t, heads * headDim]);
    const { weight, bias } = this.o_proj;
    return residual === undefined ? this.o_proj.call(mixed) : linearAdd(mixed, weight, bias, residual);
  };

  /** Heads of keys and values that this process has. */
  get kvHeads(): number {
    return this.k_proj === undefined ? this.#spec.kvHeads : this.k_proj.weight.shape[0]! / this.#spec.headDim;
  }

  #alone(q: Tensor, k: Tensor, v: Tensor): Tensor {
    return attention(q, transpose(k, 1, 2), transpose(v, 1, 2), undefined, undefined, this.#options);
  }

  #cached(q: Tensor, k: Tensor, v: Tensor, cache: KVCache): Tensor {
    const [keys, values] = [cache.keys[this.#layer]!, cache.values[this.#layer]!];
    const { pos, keyRows, valueRows } = cache;
    kvAppend_(keys, k, pos, keyRows);
    kvAppend_(values, v, pos, valueRows);
    return attention(q, keys, values, pos, undefined, { ...this.#options, keyRows, valueRows });
  }

  #project(x: Tensor): Three {
    if (this.qkv_proj) {
      const { heads, kvHeads, headDim: d } = this.#spec;
      const all = this.qkv_proj.call(x);
      const [k, v, end] = [heads * d, (heads + kvHeads) * d, (heads + 2 * kvHeads) * d];
      return [slice(all, 2, 0, k), slice(all, 2, k, v), slice(all, 2, v, end)];
    }
    const all = [this.q_proj!, this.k_proj!, this.v_proj!];
    return linears(
      x,
      all.map((m) => m.weight),
      all.map((m) => m.bias),
    ) as unknown as Three;
  }

  /** [B, T, heads * D] -> [B, T, heads, D], normed. */
  #split(x: Tensor, heads: number, norm: RMSNorm | undefined): Tensor {
    const shape = [x.shape[0]!, x.shape[1]!, heads, this.#spec.headDim];
    if (norm === undefined) return reshape(x, shape);
    return this.#spec.norm!.over === 'head' ? norm.call(reshape(x, shape)) : reshape(norm.call(x), shape);
  }
}
