// Decoder layers: attention, then the feed-forward, each added to what came before. They differ in where the norms stand:
//   PreNormLayer   h = x + attention(norm(x));              y = h + mlp(norm(h))
//   PostNormLayer  h = x + norm(attention([norm](x)));      y = h + norm(mlp([norm](h)))
import { add, Module, type RMSNorm, type Tensor } from '@ao/core';
import type { Step } from '../causal-lm.ts';
import type { Tables } from '../rope-table.ts';
import { Attention, type AttentionSpec } from './attention.ts';
import type { FeedForward } from './mlp.ts';
import type { NormSpec, Weights } from './weights.ts';

export interface LayerSpec {
  readonly attention: AttentionSpec;
  /** 'before' attention and feed-forward, 'after' them, or 'both'. */
  readonly norms: 'before' | 'after' | 'both';
  readonly norm: NormSpec;
  /** The feed-forward's name; 'mlp'. */
  readonly feedForwardName?: 'mlp' | 'block_sparse_moe';
  feedForward(weights: Weights): FeedForward;
}

export interface DecoderLayer extends Module {
  readonly self_attn: Attention;
  forward(x: Tensor, step: Step, tables: readonly Tables[]): Tensor;
}

// The order of fields is the order of names in files: as in transformers.
class PreNormLayer extends Module implements DecoderLayer {
  self_attn: Attention;
  mlp: FeedForward | undefined;
  block_sparse_moe: FeedForward | undefined;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;

  constructor(spec: LayerSpec, weights: Weights, layer: number) {
    super();
    const { attention, norm, feedForwardName: name = 'mlp' } = spec;
    this.self_attn = new Attention(attention, weights.at('self_attn'), layer);
    this[name] = spec.feedForward(weights.at(name));
    this.input_layernorm = weights.norm('input_layernorm', attention.hiddenSize, norm);
    this.post_attention_layernorm = weights.norm('post_attention_layernorm', attention.hiddenSize, norm);
  }

  forward = (x: Tensor, step: Step, tables: readonly Tables[]): Tensor => {
    const h = this.self_attn.call(this.input_layernorm.call(x), x, step, tables);
    return (this.mlp ?? this.block_sparse_moe)!.call(this.post_attention_layernorm.call(h), h);
  };
}

class PostNormLayer extends Module implements DecoderLayer {
  self_attn: Attention;
  mlp: FeedForward;
  input_layernorm: RMSNorm | undefined;
  post_attention_layernorm: RMSNorm;
  pre_feedforward_layernorm: RMSNorm | undefined;
  post_feedforward_layernorm: RMSNorm;

  constructor(spec: LayerSpec, weights: Weights, layer: number) {
    super();
    const norm = (name: string): RMSNorm => weights.norm(name, spec.attention.hiddenSize, spec.norm);
    const both = spec.norms === 'both';
    this.self_attn = new Attention(spec.attention, weights.at('self_attn'), layer);
    this.mlp = spec.feedForward(weights.at('mlp'));
    if (both) this.input_layernorm = norm('input_layernorm');
    this.post_attention_layernorm = norm('post_attention_layernorm');
    if (both) this.pre_feedforward_layernorm = norm('pre_feedforward_layernorm');
    this.post_feedforward_layernorm = norm('post_feedforward_layernorm');
  }

  forward = (x: Tensor, step: Step, tables: readonly Tables[]): Tensor => {
    const mixed = this.self_attn.call(this.input_layernorm?.call(x) ?? x, undefined, step, tables);
    const h = add(x, this.post_attention_layernorm.call(mixed));
    const more = this.mlp.call(this.pre_feedforward_layernorm?.call(h) ?? h);
    return add(h, this.post_feedforward_layernorm.call(more));
  };
}

export function decoderLayer(spec: LayerSpec, weights: Weights, layer: number): DecoderLayer {
  return spec.norms === 'before' ? new PreNormLayer(spec, weights, layer) : new PostNormLayer(spec, weights, layer);
}
