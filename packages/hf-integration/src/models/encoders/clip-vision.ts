// CLIPVisionModel and CLIPVisionModelWithProjection (also the vision half of a CLIPModel): a pre-norm encoder of image patches.
//   h = norm([class, patches(x)] + positions); per layer: h += o(attention(q, k, v of norm(h))), h += fc2(act(fc1(norm(h))));
//   lastHiddenState = h; poolerOutput = norm(h[:, 0]); imageEmbeds = projection(poolerOutput).   x [B, C, H, W]; h [B, 1 + N, H]
import {
  add,
  arange,
  cat,
  Embedding,
  expand,
  type LayerNorm,
  type Linear,
  linearAdd,
  Module,
  reshape,
  scope,
  select,
  type Tensor,
} from '@ao/core';
import { Fields } from '../../config/fields.ts';
import type { ModelConfig } from '../../config/model-config.ts';
import type { ModelFamily, Outline, ParameterSpec } from '../family.ts';
import {
  type Activation,
  type EncoderSizes,
  linearOf,
  linearSpecs,
  normOf,
  normSpecs,
  parseSizes,
  selfAttention,
  type Weight,
} from './layers.ts';
import { PatchEmbedding, type PatchSizes, parsePatches } from './patch-embedding.ts';
import { VisionEncoder, type VisionOutput } from './vision-encoder.ts';

export interface CLIPVisionConfig extends EncoderSizes {
  readonly patches: PatchSizes;
  readonly projectionDim: number;
}

function parse(f: Fields): CLIPVisionConfig {
  return {
    ...parseSizes(f, 1e-5, 'quick_gelu'),
    patches: parsePatches(f),
    projectionDim: f.count('projection_dim', 512),
  };
}

function parameters(c: CLIPVisionConfig): ParameterSpec[] {
  const h = c.hiddenSize;
  const { channels, patch, patches } = c.patches;
  const vector = (name: string, shape: readonly number[]): ParameterSpec => ({ name, shape, role: 'vector' });
  const layer = (i: number): ParameterSpec[] => {
    const at = `encoder.layers.${i}`;
    return [
      ...['k_proj', 'v_proj', 'q_proj', 'out_proj'].flatMap((name) => linearSpecs(`${at}.self_attn.${name}`, h, h)),
      ...normSpecs(`${at}.layer_norm1`, h),
      ...linearSpecs(`${at}.mlp.fc1`, c.intermediateSize, h),
      ...linearSpecs(`${at}.mlp.fc2`, h, c.intermediateSize),
      ...normSpecs(`${at}.layer_norm2`, h),
    ];
  };
  return [
    vector('embeddings.class_embedding', [h]),
    vector('embeddings.patch_embedding.weight', [h, channels, patch, patch]),
    vector('embeddings.position_embedding.weight', [1 + patches, h]),
    ...normSpecs('pre_layrnorm', h),
    ...Array.from({ length: c.numHiddenLayers }, (_, i) => layer(i)).flat(),
    ...normSpecs('post_layernorm', h),
  ];
}

class CLIPVisionEmbeddings extends Module {
  class_embedding: Tensor;
  patch_embedding: PatchEmbedding;
  position_embedding: Embedding;

  constructor(config: CLIPVisionConfig, weight: Weight) {
    super();
    this.class_embedding = weight('embeddings.class_embedding');
    this.patch_embedding = new PatchEmbedding(config.patches, weight('embeddings.patch_embedding.weight'));
    this.position_embedding = new Embedding(weight('embeddings.position_embedding.weight'));
  }

  forward = (x: Tensor): Tensor => {
    const patches = this.patch_embedding.call(x);
    const [b, , h] = patches.shape as [number, number, number];
    const first = expand(reshape(this.class_embedding, [1, 1, h]), [b, 1, h]);
    const positions = arange(x.rt, 0, this.position_embedding.weight.shape[0]!, 1, { device: x.device });
    return add(cat([first, patches], 1), this.position_embedding.call(positions));
  };
}

class CLIPAttention extends Module {
  k_proj: Linear;
  v_proj: Linear;
  q_proj: Linear;
  out_proj: Linear;
  readonly #heads: number;

  constructor(heads: number, weight: Weight, at: string) {
    super();
    this.k_proj = linearOf(weight, `${at}.k_proj`);
    this.v_proj = linearOf(weight, `${at}.v_proj`);
    this.q_proj = linearOf(weight, `${at}.q_proj`);
    this.out_proj = linearOf(weight, `${at}.out_proj`);
    this.#heads = heads;
  }

  forward = (x: Tensor, residual: Tensor): Tensor => {
    const mixed = selfAttention(x, [this.q_proj, this.k_proj, this.v_proj], this.#heads);
    return linearAdd(mixed, this.out_proj.weight, this.out_proj.bias, residual);
  };
}

class CLIPMLP extends Module {
  fc1: Linear;
  fc2: Linear;
  readonly #activation: Activation;

  constructor({ activation }: CLIPVisionConfig, weight: Weight, at: string) {
    super();
    this.fc1 = linearOf(weight, `${at}.fc1`);
    this.fc2 = linearOf(weight, `${at}.fc2`);
    this.#activation = activation;
  }

  forward = (x: Tensor, residual: Tensor): Tensor =>
    linearAdd(this.#activation(this.fc1.call(x)), this.fc2.weight, this.fc2.bias, residual);
}

class CLIPEncoderLayer extends Module {
  self_attn: CLIPAttention;
  layer_norm1: LayerNorm;
  mlp: CLIPMLP;
  layer_norm2: LayerNorm;

  constructor(config: CLIPVisionConfig, weight: Weight, at: string) {
    super();
    this.self_attn = new CLIPAttention(config.numAttentionHeads, weight, `${at}.self_attn`);
    this.layer_norm1 = normOf(weight, `${at}.layer_norm1`, config.layerNormEps);
    this.mlp = new CLIPMLP(config, weight, `${at}.mlp`);
    this.layer_norm2 = normOf(weight, `${at}.layer_norm2`, config.layerNormEps);
  }

  forward = (x: Tensor): Tensor => {
    const h = this.self_attn.call(this.layer_norm1.call(x), x);
    return this.mlp.call(this.layer_norm2.call(h), h);
  };
}

class CLIPEncoder extends Module {
  layers: CLIPEncoderLayer[];

  constructor(config: CLIPVisionConfig, weight: Weight) {
    super();
    this.layers = Array.from(
      { length: config.numHiddenLayers },
      (_, i) => new CLIPEncoderLayer(config, weight, `encoder.layers.${i}`),
    );
  }

  forward = (x: Tensor): Tensor => this.layers.reduce((h, layer) => scope(() => layer.call(h)), x);
}

export class CLIPVisionModel extends VisionEncoder {
  embeddings: CLIPVisionEmbeddings;
  // the name that transformers gave it
  pre_layrnorm: LayerNorm;
  encoder: CLIPEncoder;
  post_layernorm: LayerNorm;
  readonly sizes: PatchSizes;

  constructor(config: CLIPVisionConfig, weight: Weight) {
    super();
    this.sizes = config.patches;
    this.embeddings = new CLIPVisionEmbeddings(config, weight);
    this.pre_layrnorm = normOf(weight, 'pre_layrnorm', config.layerNormEps);
    this.encoder = new CLIPEncoder(config, weight);
    this.post_layernorm = normOf(weight, 'post_layernorm', config.layerNormEps);
    this.named();
  }

  get anchor(): Tensor {
    return this.post_layernorm.weight;
  }

  forward = (pixelValues: Tensor): VisionOutput & { readonly poolerOutput: Tensor } =>
    scope(() => {
      const lastHiddenState = this.encoder.call(this.pre_layrnorm.call(this.embeddings.call(pixelValues)));
      return { lastHiddenState, poolerOutput: this.post_layernorm.call(select(lastHiddenState, 1, 0)) };
    });

  embedding({ poolerOutput }: VisionOutput): Tensor {
    return poolerOutput!;
  }
}

export class CLIPVisionModelWithProjection extends VisionEncoder {
  vision_model: CLIPVisionModel;
  visual_projection: Linear;

  constructor(config: CLIPVisionConfig, weight: Weight) {
    super();
    this.vision_model = new CLIPVisionModel(config, (name) => weight(`vision_model.${name}`));
    this.visual_projection = linearOf(weight, 'visual_projection', false);
    this.named();
  }

  get anchor(): Tensor {
    return this.vision_model.anchor;
  }

  get sizes(): PatchSizes {
    return this.vision_model.sizes;
  }

  forward = (pixelValues: Tensor): VisionOutput =>
    scope(() => {
      const output = this.vision_model.call(pixelValues);
      return { ...output, imageEmbeds: this.visual_projection.call(output.poolerOutput) };
    });

  embedding({ imageEmbeds }: VisionOutput): Tensor {
    return imageEmbeds!;
  }
}

const PLAIN = 'CLIPVisionModel';
const PROJECTION = 'CLIPVisionModelWithProjection';
const WHOLE = 'CLIPModel';

export const clipVision: ModelFamily = /*@__PURE__*/ Object.freeze({
  name: 'clip_vision_model',
  architectures: [PLAIN, PROJECTION, WHOLE],
  modelTypes: ['clip_vision_model'],
  // buffers of old checkpoints, and the text half
  ignored: /(^|\.)position_ids$|^(text_model|text_projection)\.|^logit_scale$/,
  outline(model: ModelConfig): Outline {
    const f = new Fields(model.json, model.where);
    if (model.architecture === WHOLE) {
      const vision = f.object('vision_config');
      if (vision === undefined) throw f.error('vision_config', 'an object');
      // the projection's size is the whole model's
      const own = { ...vision.json, projection_dim: f.count('projection_dim', 512) };
      const parts = ['text_config', 'vision_config', 'logit_scale_init_value', 'initializer_factor'];
      return {
        ...projected(parse(new Fields(own, vision.where))),
        configChanges: {
          ...Object.fromEntries(parts.map((name) => [name, undefined])),
          ...own,
          architectures: [PROJECTION],
          model_type: 'clip_vision_model',
        },
      };
    }
    const config = parse(f);
    if (model.architecture === PROJECTION) return projected(config);
    return {
      parameters: parameters(config),
      tied: {},
      // until transformers 5 the names began so
      rename: (name) => name.replace(/^vision_model\./, ''),
      build: (weight) => new CLIPVisionModel(config, weight),
    };
  },
});

function projected(config: CLIPVisionConfig): Outline {
  return {
    parameters: [
      ...parameters(config).map((p) => ({ ...p, name: `vision_model.${p.name}` })),
      ...linearSpecs('visual_projection', config.projectionDim, config.hiddenSize, false),
    ],
    tied: {},
    build: (weight) => new CLIPVisionModelWithProjection(config, weight),
  };
}
