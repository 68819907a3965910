// The Llama family (Llama, SmolLM2, stories): a pre-norm decoder with rotary positions, grouped queries and a SwiGLU MLP.
//   h = embed(ids); per layer: h += o(attention(rope(q), rope(k), v)); h += down(silu(gate) * up); logits = head(norm(h))
//   ids [B, T]; h [B, T, H]; q [B, T, Hq, D]; k, v [B, T, Hkv, D]; cache [B, Hkv, P, D]
import {
  attention,
  type DType,
  Embedding,
  kvAppend_,
  Linear,
  linearAdd,
  linears,
  Module,
  RMSNorm,
  type Runtime,
  reshape,
  rope,
  siluMul,
  type Tensor,
} from '@ao/core';
import { Fields } from '../config/fields.ts';
import type { ModelConfig } from '../config/model-config.ts';
import { inverseFrequencies, parseRope, type RopeParameters } from '../config/rope.ts';
import { CausalLM, type Step } from './causal-lm.ts';
import type { ModelFamily, Outline, ParameterSpec } from './family.ts';
import { StaticCache } from './kv-cache.ts';
import { RopeTable } from './rope-table.ts';

export interface LlamaConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  readonly maxPositionEmbeddings: number;
  readonly rmsNormEps: number;
  readonly attentionBias: boolean;
  readonly mlpBias: boolean;
  readonly tieWordEmbeddings: boolean;
  readonly rope: RopeParameters;
}

type Weight = (name: string) => Tensor;

interface Tables {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

function parse({ json, where }: ModelConfig): LlamaConfig {
  const f = new Fields(json, where);
  const hiddenSize = f.count('hidden_size');
  const numAttentionHeads = f.count('num_attention_heads');
  const numKeyValueHeads = f.has('num_key_value_heads') ? f.count('num_key_value_heads') : numAttentionHeads;
  const headDim = f.has('head_dim') ? f.count('head_dim') : hiddenSize / numAttentionHeads;
  if (numAttentionHeads % numKeyValueHeads !== 0)
    throw f.error('num_key_value_heads', 'a divisor of num_attention_heads');
  if (!Number.isInteger(headDim) || headDim % 2) throw f.error('head_dim', 'an even whole number');
  if (f.text('hidden_act', 'silu') !== 'silu') throw f.error('hidden_act', "'silu' in this family");
  return {
    vocabSize: f.count('vocab_size'),
    hiddenSize,
    intermediateSize: f.count('intermediate_size'),
    numHiddenLayers: f.count('num_hidden_layers'),
    numAttentionHeads,
    numKeyValueHeads,
    headDim,
    maxPositionEmbeddings: f.count('max_position_embeddings', 2048),
    rmsNormEps: f.positive('rms_norm_eps', 1e-6),
    attentionBias: f.flag('attention_bias', false),
    mlpBias: f.flag('mlp_bias', false),
    tieWordEmbeddings: f.flag('tie_word_embeddings', false),
    rope: parseRope(f),
  };
}

function parameters(c: LlamaConfig): ParameterSpec[] {
  const linearSpec = (name: string, out: number, from: number, bias: boolean): ParameterSpec[] => [
    { name: `${name}.weight`, shape: [out, from], role: 'linear' },
    ...(bias ? [{ name: `${name}.bias`, shape: [out], role: 'vector' } as const] : []),
  ];
  const norm = (name: string): ParameterSpec => ({ name: `${name}.weight`, shape: [c.hiddenSize], role: 'vector' });
  const q = c.numAttentionHeads * c.headDim;
  const kv = c.numKeyValueHeads * c.headDim;
  const layer = (i: number): ParameterSpec[] => {
    const at = `model.layers.${i}`;
    return [
      ...linearSpec(`${at}.self_attn.q_proj`, q, c.hiddenSize, c.attentionBias),
      ...linearSpec(`${at}.self_attn.k_proj`, kv, c.hiddenSize, c.attentionBias),
      ...linearSpec(`${at}.self_attn.v_proj`, kv, c.hiddenSize, c.attentionBias),
      ...linearSpec(`${at}.self_attn.o_proj`, c.hiddenSize, q, c.attentionBias),
      ...linearSpec(`${at}.mlp.gate_proj`, c.intermediateSize, c.hiddenSize, c.mlpBias),
      ...linearSpec(`${at}.mlp.up_proj`, c.intermediateSize, c.hiddenSize, c.mlpBias),
      ...linearSpec(`${at}.mlp.down_proj`, c.hiddenSize, c.intermediateSize, c.mlpBias),
      norm(`${at}.input_layernorm`),
      norm(`${at}.post_attention_layernorm`),
    ];
  };
  const vocabulary = [c.vocabSize, c.hiddenSize];
  return [
    { name: 'model.embed_tokens.weight', shape: vocabulary, role: 'embedding' },
    ...Array.from({ length: c.numHiddenLayers }, (_, i) => layer(i)).flat(),
    norm('model.norm'),
    ...(c.tieWordEmbeddings
      ? []
      : [{ name: 'lm_head.weight', shape: vocabulary, role: 'linear', output: true } as const]),
  ];
}

function linearOf(weight: Weight, name: string, bias: boolean): Linear {
  return new Linear(weight(`${name}.weight`), bias ? weight(`${name}.bias`) : undefined);
}

class LlamaAttention extends Module {
  q_proj: Linear;
  k_proj: Linear;
  v_proj: Linear;
  o_proj: Linear;
  readonly #config: LlamaConfig;
  readonly #layer: number;

  constructor(config: LlamaConfig, weight: Weight, layer: number) {
    super();
    const proj = (name: string): Linear =>
      linearOf(weight, `model.layers.${layer}.self_attn.${name}`, config.attentionBias);
    this.q_proj = proj('q_proj');
    this.k_proj = proj('k_proj');
    this.v_proj = proj('v_proj');
    this.o_proj = proj('o_proj');
    this.#config = config;
    this.#layer = layer;
  }

  forward = (x: Tensor, residual: Tensor, { cache, positions }: Step, { cos, sin }: Tables): Tensor => {
    const { numAttentionHeads: hq, numKeyValueHeads: hkv, headDim: d } = this.#config;
    const [b, t] = x.shape as [number, number, number];
    const all = [this.q_proj, this.k_proj, this.v_proj];
    const [q, k, v] = linears(
      x,
      all.map((m) => m.weight),
      all.map((m) => m.bias),
    ) as [Tensor, Tensor, Tensor];
    const keys = cache.keys[this.#layer]!;
    const values = cache.values[this.#layer]!;
    kvAppend_(keys, rope(reshape(k, [b, t, hkv, d]), cos, sin, positions), cache.pos);
    kvAppend_(values, reshape(v, [b, t, hkv, d]), cache.pos);
    const query = rope(reshape(q, [b, t, hq, d]), cos, sin, positions);
    const mixed = attention(query, keys, values, cache.pos, undefined, { causal: true });
    return linearAdd(reshape(mixed, [b, t, hq * d]), this.o_proj.weight, this.o_proj.bias, residual);
  };
}

class LlamaMLP extends Module {
  gate_proj: Linear;
  up_proj: Linear;
  down_proj: Linear;

  constructor(config: LlamaConfig, weight: Weight, layer: number) {
    super();
    const proj = (name: string): Linear => linearOf(weight, `model.layers.${layer}.mlp.${name}`, config.mlpBias);
    this.gate_proj = proj('gate_proj');
    this.up_proj = proj('up_proj');
    this.down_proj = proj('down_proj');
  }

  forward = (x: Tensor, residual: Tensor): Tensor => {
    const both = [this.gate_proj, this.up_proj];
    const [gate, up] = linears(
      x,
      both.map((m) => m.weight),
      both.map((m) => m.bias),
    ) as [Tensor, Tensor];
    return linearAdd(siluMul(gate, up), this.down_proj.weight, this.down_proj.bias, residual);
  };
}

// The order of fields is the order of names in files: as in transformers.
class LlamaDecoderLayer extends Module {
  self_attn: LlamaAttention;
  mlp: LlamaMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;

  constructor(config: LlamaConfig, weight: Weight, layer: number) {
    super();
    const norm = (name: string): RMSNorm =>
      new RMSNorm(weight(`model.layers.${layer}.${name}.weight`), config.rmsNormEps);
    this.input_layernorm = norm('input_layernorm');
    this.self_attn = new LlamaAttention(config, weight, layer);
    this.post_attention_layernorm = norm('post_attention_layernorm');
    this.mlp = new LlamaMLP(config, weight, layer);
  }

  forward = (x: Tensor, step: Step, tables: Tables): Tensor => {
    const h = this.self_attn.call(this.input_layernorm.call(x), x, step, tables);
    return this.mlp.call(this.post_attention_layernorm.call(h), h);
  };
}

class LlamaModel extends Module {
  embed_tokens: Embedding;
  layers: LlamaDecoderLayer[];
  norm: RMSNorm;

  constructor(config: LlamaConfig, weight: Weight) {
    super();
    this.embed_tokens = new Embedding(weight('model.embed_tokens.weight'));
    this.layers = Array.from({ length: config.numHiddenLayers }, (_, i) => new LlamaDecoderLayer(config, weight, i));
    this.norm = new RMSNorm(weight('model.norm.weight'), config.rmsNormEps);
  }

  forward = (ids: Tensor, step: Step, tables: Tables): Tensor => {
    let h = this.embed_tokens.call(ids);
    for (const layer of this.layers) h = layer.call(h, step, tables);
    return this.norm.call(h);
  };
}

export class LlamaForCausalLM extends CausalLM {
  model: LlamaModel;
  lm_head: Linear;
  readonly #config: LlamaConfig;
  readonly #rope: RopeTable;

  constructor(config: LlamaConfig, weight: Weight) {
    super();
    this.#config = config;
    this.#rope = new RopeTable(inverseFrequencies(config.rope, config.headDim));
    this.model = new LlamaModel(config, weight);
    this.lm_head = new Linear(weight(config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight'));
    this.named();
  }

  get rt(): Runtime {
    return this.model.norm.weight.rt;
  }

  get dtype(): DType {
    return this.model.norm.weight.dtype;
  }

  get device(): string {
    return this.model.norm.weight.device;
  }

  get vocabSize(): number {
    return this.#config.vocabSize;
  }

  get maxPositions(): number {
    return this.#config.maxPositionEmbeddings;
  }

  createCache(length: number, batch = 1, dtype = this.dtype): StaticCache {
    const { numHiddenLayers: layers, numKeyValueHeads: heads, headDim } = this.#config;
    // the tables are made here: not inside a capture
    this.#rope.tables(this.rt, length, this.device);
    return new StaticCache(this.rt, { layers, batch, heads, headDim, length, dtype, device: this.device });
  }

  hidden(ids: Tensor, step: Step): Tensor {
    const [cos, sin] = this.#rope.tables(this.rt, step.cache.length, this.device);
    return this.model.call(ids, step, { cos, sin });
  }

  head(hidden: Tensor): Tensor {
    return this.lm_head.call(hidden);
  }

  override dispose(): void {
    this.#rope.dispose();
    super.dispose();
  }
}

export const llama: ModelFamily = /*@__PURE__*/ Object.freeze({
  name: 'llama',
  architectures: ['LlamaForCausalLM'],
  modelTypes: ['llama'],
  ignored: /\.rotary_emb\.inv_freq$/,
  outline(model: ModelConfig): Outline {
    const config = parse(model);
    return {
      parameters: parameters(config),
      tied: config.tieWordEmbeddings ? { 'lm_head.weight': 'model.embed_tokens.weight' } : {},
      build: (weight) => new LlamaForCausalLM(config, weight),
    };
  },
});
