// BertModel (BERT, MiniLM, BGE): a post-norm encoder with learned positions and token types.
//   h = norm(word(ids) + type(types) + position(0..T)); per layer: h = norm(h + o(attention(q, k, v))),
//   h = norm(h + down(act(up(h)))); pooler = tanh(dense(h[:, 0])).   ids [B, T]; h [B, T, H]; mask [B, T]
import {
  AoError,
  add,
  arange,
  cast,
  Embedding,
  float32,
  int32,
  type LayerNorm,
  type Linear,
  linearAdd,
  log,
  Module,
  reshape,
  scope,
  type Tensor,
  tanh,
  zeros,
} from '@ao/core';
import { Fields } from '../../config/fields.ts';
import type { ModelConfig } from '../../config/model-config.ts';
import type { ModelFamily, Outline, ParameterSpec } from '../family.ts';
import { Intermediate, SelfAttention } from './bert-layers.ts';
import { type EncoderSizes, linearOf, linearSpecs, normOf, normSpecs, parseSizes, type Weight } from './layers.ts';
import { Pooler } from './pooler.ts';
import { type EncoderInputs, type EncoderOutput, TextEncoder } from './text-encoder.ts';

export interface BertConfig extends EncoderSizes {
  readonly vocabSize: number;
  readonly maxPositionEmbeddings: number;
  readonly typeVocabSize: number;
  readonly padTokenId: number;
}

function parse({ json, where }: ModelConfig): BertConfig {
  const f = new Fields(json, where);
  if (f.text('position_embedding_type', 'absolute') !== 'absolute')
    throw f.error('position_embedding_type', "'absolute' in this family");
  if (f.flag('is_decoder', false)) throw f.error('is_decoder', 'false: only the encoder is supported');
  return {
    ...parseSizes(f, 1e-12, 'gelu'),
    vocabSize: f.count('vocab_size'),
    maxPositionEmbeddings: f.count('max_position_embeddings'),
    typeVocabSize: f.count('type_vocab_size', 2),
    padTokenId: f.count('pad_token_id', 0, 0),
  };
}

function parameters(c: BertConfig): ParameterSpec[] {
  const h = c.hiddenSize;
  const layer = (i: number): ParameterSpec[] => {
    const at = `encoder.layer.${i}`;
    return [
      ...['query', 'key', 'value'].flatMap((name) => linearSpecs(`${at}.attention.self.${name}`, h, h)),
      ...linearSpecs(`${at}.attention.output.dense`, h, h),
      ...normSpecs(`${at}.attention.output.LayerNorm`, h),
      ...linearSpecs(`${at}.intermediate.dense`, c.intermediateSize, h),
      ...linearSpecs(`${at}.output.dense`, h, c.intermediateSize),
      ...normSpecs(`${at}.output.LayerNorm`, h),
    ];
  };
  return [
    { name: 'embeddings.word_embeddings.weight', shape: [c.vocabSize, h], role: 'embedding' },
    { name: 'embeddings.position_embeddings.weight', shape: [c.maxPositionEmbeddings, h], role: 'vector' },
    { name: 'embeddings.token_type_embeddings.weight', shape: [c.typeVocabSize, h], role: 'vector' },
    ...normSpecs('embeddings.LayerNorm', h),
    ...Array.from({ length: c.numHiddenLayers }, (_, i) => layer(i)).flat(),
    ...linearSpecs('pooler.dense', h, h).map((p) => ({ ...p, optional: true })),
  ];
}

class BertEmbeddings extends Module {
  word_embeddings: Embedding;
  position_embeddings: Embedding;
  token_type_embeddings: Embedding;
  LayerNorm: LayerNorm;

  constructor(config: BertConfig, weight: Weight) {
    super();
    const table = (name: string): Embedding => new Embedding(weight(`embeddings.${name}.weight`));
    this.word_embeddings = table('word_embeddings');
    this.position_embeddings = table('position_embeddings');
    this.token_type_embeddings = table('token_type_embeddings');
    this.LayerNorm = normOf(weight, 'embeddings.LayerNorm', config.layerNormEps);
  }

  forward = (ids: Tensor, types: Tensor | undefined): Tensor => {
    const { rt, device, shape } = ids;
    const all = types ?? zeros(rt, [1], { dtype: int32, device });
    const typed = add(this.word_embeddings.call(ids), this.token_type_embeddings.call(all));
    const positions = arange(rt, 0, shape[1]!, 1, { device });
    return this.LayerNorm.call(add(typed, this.position_embeddings.call(positions)));
  };
}

/** norm(residual + dense(x)) */
class BertOutput extends Module {
  dense: Linear;
  LayerNorm: LayerNorm;

  constructor(eps: number, weight: Weight, at: string) {
    super();
    this.dense = linearOf(weight, `${at}.dense`);
    this.LayerNorm = normOf(weight, `${at}.LayerNorm`, eps);
  }

  forward = (x: Tensor, residual: Tensor): Tensor =>
    this.LayerNorm.call(linearAdd(x, this.dense.weight, this.dense.bias, residual));
}

class BertAttention extends Module {
  self: SelfAttention;
  output: BertOutput;

  constructor(config: BertConfig, weight: Weight, at: string) {
    super();
    this.self = new SelfAttention(config.numAttentionHeads, weight, `${at}.self`);
    this.output = new BertOutput(config.layerNormEps, weight, `${at}.output`);
  }

  forward = (x: Tensor, mask: Tensor | undefined): Tensor => this.output.call(this.self.call(x, mask), x);
}

class BertLayer extends Module {
  attention: BertAttention;
  intermediate: Intermediate;
  output: BertOutput;

  constructor(config: BertConfig, weight: Weight, at: string) {
    super();
    this.attention = new BertAttention(config, weight, `${at}.attention`);
    this.intermediate = new Intermediate(config.activation, weight, `${at}.intermediate`);
    this.output = new BertOutput(config.layerNormEps, weight, `${at}.output`);
  }

  forward = (x: Tensor, mask: Tensor | undefined): Tensor => {
    const h = this.attention.call(x, mask);
    return this.output.call(this.intermediate.call(h), h);
  };
}

class BertEncoder extends Module {
  layer: BertLayer[];

  constructor(config: BertConfig, weight: Weight) {
    super();
    this.layer = Array.from(
      { length: config.numHiddenLayers },
      (_, i) => new BertLayer(config, weight, `encoder.layer.${i}`),
    );
  }

  forward = (x: Tensor, mask: Tensor | undefined): Tensor =>
    this.layer.reduce((h, layer) => scope(() => layer.call(h, mask)), x);
}

export class BertModel extends TextEncoder {
  embeddings: BertEmbeddings;
  encoder: BertEncoder;
  /** Absent where the checkpoint has none. */
  pooler?: Pooler;
  readonly #config: BertConfig;

  constructor(config: BertConfig, weight: Weight) {
    super();
    this.#config = config;
    this.embeddings = new BertEmbeddings(config, weight);
    this.encoder = new BertEncoder(config, weight);
    const pooler = Pooler.of(weight, tanh);
    if (pooler !== undefined) this.pooler = pooler;
    this.named();
  }

  get anchor(): Tensor {
    return this.embeddings.LayerNorm.weight;
  }

  get vocabSize(): number {
    return this.#config.vocabSize;
  }

  get hiddenSize(): number {
    return this.#config.hiddenSize;
  }

  get maxPositions(): number {
    return this.#config.maxPositionEmbeddings;
  }

  get padTokenId(): number {
    return this.#config.padTokenId;
  }

  forward = (inputIds: Tensor, { attentionMask, tokenTypeIds }: EncoderInputs = {}): EncoderOutput => {
    const [b, t] = inputIds.shape as [number, number];
    if (t > this.maxPositions) {
      throw new AoError('ERR_AO_SHAPE', `${t} tokens, the model has ${this.maxPositions} positions`, {
        op: 'BertModel',
        fix: 'cut the text',
      });
    }
    return scope(() => {
      // log 1 = 0 and log 0 = -infinity: what attention adds to the scores of keys that count, and that do not
      const mask = attentionMask && reshape(log(cast(attentionMask, float32)), [b, 1, 1, t]);
      const lastHiddenState = this.encoder.call(this.embeddings.call(inputIds, tokenTypeIds), mask);
      const poolerOutput = this.pooler?.call(lastHiddenState);
      return { lastHiddenState, ...(poolerOutput === undefined ? {} : { poolerOutput }) };
    });
  };
}

const HEADS = [
  'BertForMaskedLM',
  'BertForPreTraining',
  'BertForQuestionAnswering',
  'BertForSequenceClassification',
  'BertForTokenClassification',
];

export const bert: ModelFamily = /*@__PURE__*/ Object.freeze({
  name: 'bert',
  architectures: ['BertModel', ...HEADS],
  modelTypes: ['bert'],
  embedsTexts: true,
  // buffers of old checkpoints, and the heads of models whose encoder this takes
  ignored: /(^|\.)position_ids$|^(cls|classifier|qa_outputs)\./,
  outline(model: ModelConfig): Outline {
    const config = parse(model);
    return {
      parameters: parameters(config),
      tied: {},
      rename: (name) =>
        name
          .replace(/^bert\./, '')
          .replace(/LayerNorm\.gamma$/, 'LayerNorm.weight')
          .replace(/LayerNorm\.beta$/, 'LayerNorm.bias'),
      ...(HEADS.includes(model.architecture) ? { configChanges: { architectures: ['BertModel'] } } : {}),
      build: (weight) => new BertModel(config, weight),
    };
  },
});
