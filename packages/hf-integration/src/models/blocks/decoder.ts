// A decoder of any family, as its spec describes it: embedding, layers, norm, head.
//   h = embedScale embed(ids); h = layer(h), ...; logits = cap(head(norm(h))), cap(x) = softcap tanh(x / softcap)
//   ids [B, T]; h [B, T, H]; logits [B, T, V]
import {
  arange,
  clone,
  div,
  type Embedding,
  keep,
  Linear,
  Module,
  mul,
  noGrad,
  type RMSNorm,
  slice,
  type Tensor,
  tanh,
  toDevice,
  unpackedOf,
} from '@ao/core';
import type { ModelStructure } from '@ao/quantization';
import type { ModelConfig } from '../../config/model-config.ts';
import type { RopeParameters } from '../../config/rope.ts';
import type { KVCacheFormat } from '../cache-layout.ts';
import { CausalLM, type Step } from '../causal-lm.ts';
import type { ModelFamily, Outline } from '../family.ts';
import { StaticCache } from '../kv-cache.ts';
import { RopeTable, type Tables } from '../rope-table.ts';
import { stepOn } from '../step-on.ts';
import { type DecoderLayer, decoderLayer, type LayerSpec } from './layer.ts';
import { structureOf } from './structure.ts';
import { type NormSpec, parametersOf, Weights } from './weights.ts';

export interface DecoderSpec {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly maxPositions: number;
  /** The head is the embedding. */
  readonly tied: boolean;
  readonly layers: readonly LayerSpec[];
  readonly norm: NormSpec;
  /** What attention specs index; `dim` values of a head are rotated. */
  readonly ropes: readonly { readonly rope: RopeParameters; readonly dim: number }[];
  readonly embedScale?: number;
  readonly logitsSoftcap?: number | undefined;
  /** Tensors of a checkpoint that hold several parameters one after the other; see Outline. */
  readonly stacked?: Readonly<Record<string, readonly string[]>>;
}

class DecoderModel extends Module {
  embed_tokens: Embedding;
  layers: DecoderLayer[];
  norm: RMSNorm;
  readonly #scale: number | undefined;

  constructor(spec: DecoderSpec, weights: Weights) {
    super();
    this.embed_tokens = weights.embedding('embed_tokens', spec.vocabSize, spec.hiddenSize);
    this.layers = spec.layers.map((layer, i) => decoderLayer(layer, weights.at(`layers.${i}`), i));
    this.norm = weights.norm('norm', spec.hiddenSize, spec.norm);
    this.#scale = spec.embedScale;
  }

  /** Of each layer. */
  get devices(): string[] {
    return this.layers.map((layer) => layer.self_attn.o_proj.weight.device);
  }

  /** Each layer runs where its weights are: what it reads comes there. */
  forward = (ids: Tensor, step: Step, tables: (device: string) => readonly Tables[]): Tensor => {
    let h = this.embed_tokens.call(toDevice(ids, this.embed_tokens.weight.device));
    // the scale is a tensor of h's dtype in transformers
    if (this.#scale !== undefined) h = mul(h, h.dtype.decode(h.dtype.encode(this.#scale)));
    const at = stepOn(step);
    for (const [i, device] of this.devices.entries())
      h = this.layers[i]!.call(toDevice(h, device), at(device), tables(device));
    return this.norm.call(toDevice(h, this.norm.weight.device));
  };
}

export class DecoderForCausalLM extends CausalLM {
  model: DecoderModel;
  lm_head: Linear;
  readonly #spec: DecoderSpec;
  readonly #ropes: readonly RopeTable[];
  /** 0, 1, 2, ...: of as many tokens as a text had. */
  #positions: Tensor | undefined;

  constructor(spec: DecoderSpec, weights: Weights) {
    super();
    this.#spec = spec;
    this.#ropes = spec.ropes.map(({ rope, dim }) => new RopeTable(rope, dim));
    this.model = new DecoderModel(spec, weights.at('model'));
    this.lm_head = spec.tied
      ? new Linear(this.model.embed_tokens.weight)
      : weights.head('lm_head', spec.vocabSize, spec.hiddenSize);
    this.named();
  }

  get anchor(): Tensor {
    return this.model.norm.weight;
  }

  get vocabSize(): number {
    return this.#spec.vocabSize;
  }

  get maxPositions(): number {
    return this.#spec.maxPositions;
  }

  override stackedNames(): Readonly<Record<string, readonly string[]>> {
    return this.#spec.stacked ?? {};
  }

  createCache(length: number, batch = 1, format: KVCacheFormat = 'auto'): StaticCache {
    const { layers } = this.#spec;
    const { headDim } = layers[0]!.attention;
    const heads = this.model.layers[0]!.self_attn.kvHeads;
    // the tables are made here: not inside a capture
    new Set(this.model.devices).forEach(this.#tables(length));
    return new StaticCache(this.rt, {
      layers: layers.length,
      batch,
      heads,
      headDim,
      length,
      format,
      dtype: this.dtype,
      device: this.device,
      devices: this.model.devices,
    });
  }

  #tables(length: number): (device: string) => readonly Tables[] {
    return (device) => this.#ropes.map((r) => r.tables(this.rt, length, device));
  }

  prepareFor(length: number): void {
    new Set(this.model.devices).forEach(this.#tables(length));
    if (this.#positions !== undefined && this.#positions.numel >= length) return;
    this.#positions?.dispose();
    this.#positions = keep(arange(this.rt, 0, length, 1, { device: this.device }));
    this.#positions.guard();
  }

  hidden(ids: Tensor, step?: Step): Tensor {
    const length = step?.cache?.length ?? ids.shape[1]!;
    // a cache is written in place
    if (step?.cache !== undefined) return noGrad(() => this.model.call(ids, step, this.#tables(length)));
    if (step !== undefined) return this.model.call(ids, step, this.#tables(length));
    this.prepareFor(length);
    return this.model.call(ids, { positions: slice(this.#positions!, 0, 0, length) }, this.#tables(length));
  }

  head(hidden: Tensor): Tensor {
    const logits = toDevice(this.lm_head.call(toDevice(hidden, this.lm_head.weight.device)), this.device);
    const { logitsSoftcap: cap } = this.#spec;
    return cap === undefined ? logits : mul(tanh(div(logits, cap)), cap);
  }

  /** [V, H] where logits are the product with it and nothing else. */
  get headWeight(): Tensor | undefined {
    return this.#spec.logitsSoftcap === undefined && this.lm_head.bias === undefined ? this.lm_head.weight : undefined;
  }

  /** How the weights meet, for calibration: where scales and rotations can go. */
  override get structure(): ModelStructure {
    return {
      ...structureOf(this.#spec, this.model.layers),
      ...(this.lm_head.weight === this.model.embed_tokens.weight && { untie: () => this.#untie() }),
    };
  }

  #untie(): void {
    const own = keep(clone(unpackedOf(this.lm_head.weight)));
    own.guard();
    this.lm_head = new Linear(own);
    this.named();
    const { origin } = this;
    if (origin === undefined) return;
    const json = { ...origin.config.json, tie_word_embeddings: false };
    this.origin = { ...origin, config: { ...origin.config, json } };
  }

  override dispose(): void {
    for (const r of this.#ropes) r.dispose();
    this.#positions?.dispose();
    super.dispose();
  }
}

export interface DecoderFamily {
  readonly name: string;
  readonly architectures: readonly string[];
  readonly modelTypes: readonly string[];
  /** Throws ERR_AO_CONFIG on a config that the family cannot run. */
  spec(config: ModelConfig): DecoderSpec;
}

/** A family of decoders by what its configs mean. */
export function decoderFamily({ spec: specOf, ...family }: DecoderFamily): ModelFamily {
  return Object.freeze({
    ...family,
    ignored: /\.rotary_emb\.inv_freq$/,
    outline(config: ModelConfig): Outline {
      const spec = specOf(config);
      return {
        parameters: parametersOf((weights) => new DecoderForCausalLM(spec, weights)),
        tied: spec.tied ? { 'lm_head.weight': 'model.embed_tokens.weight' } : {},
        stacked: spec.stacked ?? {},
        blocks: ['model.embed_tokens', ...spec.layers.map((_, i) => `model.layers.${i}`), 'model.norm', 'lm_head'],
        build: (weight) => new DecoderForCausalLM(spec, new Weights(({ name }) => weight(name))),
      };
    },
  });
}
