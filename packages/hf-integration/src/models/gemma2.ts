// Gemma 2: norms with 1 + weight before and after attention and MLP, scaled embeddings, soft caps of scores and logits, every
// other layer within a window.
import type { ModelConfig } from '../config/model-config.ts';
import { type Common, commonOf, ropeOf, slidingLayers, windowOf } from './blocks/config.ts';
import { decoderFamily } from './blocks/decoder.ts';
import { GatedMLP } from './blocks/mlp.ts';

/** What Gemma's configs have in common. */
export function gemmaCommon(config: ModelConfig, maxPositions: number): Common & { readonly scale: number } {
  const defaults = { maxPositions, headDim: 256, tied: true };
  const c = commonOf(config, defaults, 'hidden_activation', 'gelu_pytorch_tanh');
  const f = c.fields;
  if (f.flag('use_bidirectional_attention', false)) throw f.error('use_bidirectional_attention', 'false in a decoder');
  return { ...c, norm: { ...c.norm, offset: 1 }, scale: f.positive('query_pre_attn_scalar', 256) ** -0.5 };
}

export const gemma2 = /*@__PURE__*/ decoderFamily({
  name: 'gemma2',
  architectures: ['Gemma2ForCausalLM'],
  modelTypes: ['gemma2'],
  spec(config) {
    const c = gemmaCommon(config, 8192);
    const f = c.fields;
    const window = windowOf(f, 4096);
    const bias = f.flag('attention_bias', false);
    const softcap = f.optional('attn_logit_softcapping', 50);
    return {
      ...c,
      ropes: [ropeOf(f, c.heads.headDim)],
      embedScale: Math.sqrt(c.hiddenSize),
      logitsSoftcap: f.optional('final_logit_softcapping', 30),
      layers: slidingLayers(f, c.layerCount, (i) => i % 2 === 0).map((sliding) => ({
        attention: {
          ...c.heads,
          qkvBias: bias,
          outBias: bias,
          scale: c.scale,
          softcap,
          window: sliding ? window : undefined,
        },
        norms: 'both' as const,
        norm: c.norm,
        feedForward: (weights) => new GatedMLP(c, weights),
      })),
    };
  },
});
