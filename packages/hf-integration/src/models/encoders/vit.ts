// ViTModel and ViTForImageClassification: a pre-norm encoder of image patches behind one class token.
//   h = [cls, patches(x)] + positions; per layer: h += o(attention(q, k, v of norm(h))), h += down(act(up(norm(h))));
//   lastHiddenState = norm(h); pooler = act(dense(h[:, 0])); logits = classifier(h[:, 0]).   x [B, C, H, W]; h [B, 1 + N, H]
import { add, cat, expand, type LayerNorm, type Linear, linearAdd, Module, scope, select, type Tensor } from '@ao/core';
import { Fields } from '../../config/fields.ts';
import type { ModelConfig } from '../../config/model-config.ts';
import type { ModelFamily, Outline, ParameterSpec } from '../family.ts';
import { Intermediate, SelfAttention } from './bert-layers.ts';
import {
  type Activation,
  activationOf,
  type EncoderSizes,
  linearOf,
  linearSpecs,
  normOf,
  normSpecs,
  parseSizes,
  type Weight,
} from './layers.ts';
import { PatchEmbedding, type PatchSizes, parsePatches } from './patch-embedding.ts';
import { Pooler } from './pooler.ts';
import { VisionEncoder, type VisionOutput } from './vision-encoder.ts';

export interface ViTConfig extends EncoderSizes {
  readonly patches: PatchSizes;
  readonly qkvBias: boolean;
  readonly poolerSize: number;
  readonly poolerActivation: Activation;
  readonly labels: number;
}

function parse({ json, where }: ModelConfig): ViTConfig {
  const f = new Fields(json, where);
  const sizes = parseSizes(f, 1e-12, 'gelu');
  const labels = f.object('id2label');
  return {
    ...sizes,
    patches: parsePatches(f),
    qkvBias: f.flag('qkv_bias', true),
    poolerSize: f.count('pooler_output_size', sizes.hiddenSize),
    poolerActivation: activationOf(f, 'pooler_act', 'tanh'),
    labels: labels === undefined ? f.count('num_labels', 2) : Object.keys(labels.json).length,
  };
}

function parameters(c: ViTConfig): ParameterSpec[] {
  const h = c.hiddenSize;
  const { channels, patch, patches } = c.patches;
  const vector = (name: string, shape: readonly number[]): ParameterSpec => ({ name, shape, role: 'vector' });
  const layer = (i: number): ParameterSpec[] => {
    const at = `encoder.layer.${i}`;
    return [
      ...['query', 'key', 'value'].flatMap((n) => linearSpecs(`${at}.attention.attention.${n}`, h, h, c.qkvBias)),
      ...linearSpecs(`${at}.attention.output.dense`, h, h),
      ...linearSpecs(`${at}.intermediate.dense`, c.intermediateSize, h),
      ...linearSpecs(`${at}.output.dense`, h, c.intermediateSize),
      ...normSpecs(`${at}.layernorm_before`, h),
      ...normSpecs(`${at}.layernorm_after`, h),
    ];
  };
  return [
    vector('embeddings.cls_token', [1, 1, h]),
    vector('embeddings.position_embeddings', [1, 1 + patches, h]),
    vector('embeddings.patch_embeddings.projection.weight', [h, channels, patch, patch]),
    vector('embeddings.patch_embeddings.projection.bias', [h]),
    ...Array.from({ length: c.numHiddenLayers }, (_, i) => layer(i)).flat(),
    ...normSpecs('layernorm', h),
  ];
}

class ViTPatchEmbeddings extends Module {
  projection: PatchEmbedding;

  constructor(config: ViTConfig, weight: Weight) {
    super();
    const at = 'embeddings.patch_embeddings.projection';
    this.projection = new PatchEmbedding(config.patches, weight(`${at}.weight`), weight(`${at}.bias`));
  }

  forward = (x: Tensor): Tensor => this.projection.call(x);
}

class ViTEmbeddings extends Module {
  cls_token: Tensor;
  position_embeddings: Tensor;
  patch_embeddings: ViTPatchEmbeddings;

  constructor(config: ViTConfig, weight: Weight) {
    super();
    this.cls_token = weight('embeddings.cls_token');
    this.position_embeddings = weight('embeddings.position_embeddings');
    this.patch_embeddings = new ViTPatchEmbeddings(config, weight);
  }

  forward = (x: Tensor): Tensor => {
    const patches = this.patch_embeddings.call(x);
    const first = expand(this.cls_token, [patches.shape[0]!, 1, patches.shape[2]!]);
    return add(cat([first, patches], 1), this.position_embeddings);
  };
}

/** residual + dense(x) */
class ViTOutput extends Module {
  dense: Linear;

  constructor(weight: Weight, at: string) {
    super();
    this.dense = linearOf(weight, `${at}.dense`);
  }

  forward = (x: Tensor, residual: Tensor): Tensor => linearAdd(x, this.dense.weight, this.dense.bias, residual);
}

class ViTAttention extends Module {
  attention: SelfAttention;
  output: ViTOutput;

  constructor(config: ViTConfig, weight: Weight, at: string) {
    super();
    this.attention = new SelfAttention(config.numAttentionHeads, weight, `${at}.attention`, config.qkvBias);
    this.output = new ViTOutput(weight, `${at}.output`);
  }

  forward = (x: Tensor, residual: Tensor): Tensor => this.output.call(this.attention.call(x), residual);
}

class ViTLayer extends Module {
  attention: ViTAttention;
  intermediate: Intermediate;
  output: ViTOutput;
  layernorm_before: LayerNorm;
  layernorm_after: LayerNorm;

  constructor(config: ViTConfig, weight: Weight, at: string) {
    super();
    this.attention = new ViTAttention(config, weight, `${at}.attention`);
    this.intermediate = new Intermediate(config.activation, weight, `${at}.intermediate`);
    this.output = new ViTOutput(weight, `${at}.output`);
    this.layernorm_before = normOf(weight, `${at}.layernorm_before`, config.layerNormEps);
    this.layernorm_after = normOf(weight, `${at}.layernorm_after`, config.layerNormEps);
  }

  forward = (x: Tensor): Tensor => {
    const h = this.attention.call(this.layernorm_before.call(x), x);
    return this.output.call(this.intermediate.call(this.layernorm_after.call(h)), h);
  };
}

class ViTEncoder extends Module {
  layer: ViTLayer[];

  constructor(config: ViTConfig, weight: Weight) {
    super();
    this.layer = Array.from(
      { length: config.numHiddenLayers },
      (_, i) => new ViTLayer(config, weight, `encoder.layer.${i}`),
    );
  }

  forward = (x: Tensor): Tensor => this.layer.reduce((h, layer) => scope(() => layer.call(h)), x);
}

export class ViTModel extends VisionEncoder {
  embeddings: ViTEmbeddings;
  encoder: ViTEncoder;
  layernorm: LayerNorm;
  /** Absent where the checkpoint has none. */
  pooler?: Pooler;
  readonly sizes: PatchSizes;

  constructor(config: ViTConfig, weight: Weight) {
    super();
    this.sizes = config.patches;
    this.embeddings = new ViTEmbeddings(config, weight);
    this.encoder = new ViTEncoder(config, weight);
    this.layernorm = normOf(weight, 'layernorm', config.layerNormEps);
    const pooler = Pooler.of(weight, config.poolerActivation);
    if (pooler !== undefined) this.pooler = pooler;
    this.named();
  }

  get anchor(): Tensor {
    return this.layernorm.weight;
  }

  forward = (pixelValues: Tensor): VisionOutput =>
    scope(() => {
      const lastHiddenState = this.layernorm.call(this.encoder.call(this.embeddings.call(pixelValues)));
      const poolerOutput = this.pooler?.call(lastHiddenState);
      return { lastHiddenState, ...(poolerOutput === undefined ? {} : { poolerOutput }) };
    });

  embedding({ lastHiddenState }: VisionOutput): Tensor {
    return select(lastHiddenState, 1, 0);
  }
}

export class ViTForImageClassification extends VisionEncoder {
  vit: ViTModel;
  classifier: Linear;

  constructor(config: ViTConfig, weight: Weight) {
    super();
    this.vit = new ViTModel(config, (name) => weight(`vit.${name}`));
    this.classifier = linearOf(weight, 'classifier');
    this.named();
  }

  get anchor(): Tensor {
    return this.vit.anchor;
  }

  get sizes(): PatchSizes {
    return this.vit.sizes;
  }

  forward = (pixelValues: Tensor): VisionOutput =>
    scope(() => {
      const { lastHiddenState } = this.vit.call(pixelValues);
      return { lastHiddenState, logits: this.classifier.call(select(lastHiddenState, 1, 0)) };
    });

  embedding(output: VisionOutput): Tensor {
    return this.vit.embedding(output);
  }
}

const CLASSIFIER = 'ViTForImageClassification';

export const vit: ModelFamily = /*@__PURE__*/ Object.freeze({
  name: 'vit',
  architectures: ['ViTModel', CLASSIFIER],
  modelTypes: ['vit'],
  outline(model: ModelConfig): Outline {
    const config = parse(model);
    const own = parameters(config);
    if (model.architecture !== CLASSIFIER) {
      const pooler = linearSpecs('pooler.dense', config.poolerSize, config.hiddenSize);
      return {
        parameters: [...own, ...pooler.map((p) => ({ ...p, optional: true }))],
        tied: {},
        build: (weight) => new ViTModel(config, weight),
      };
    }
    const head = linearSpecs('classifier', config.labels, config.hiddenSize).map((p) => ({ ...p, output: true }));
    return {
      parameters: [...own.map((p) => ({ ...p, name: `vit.${p.name}` })), ...head],
      tied: {},
      build: (weight) => new ViTForImageClassification(config, weight),
    };
  },
});
