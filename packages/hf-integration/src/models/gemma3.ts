// Gemma 3, text: Gemma 2 with normed queries and keys instead of the scores' soft cap; five of six layers attend within a
// window and have a rotary base of their own.
import type { Fields } from '../config/fields.ts';
import { scalingOf } from '../config/rope.ts';
import { type Rope, ropeOf, slidingLayers, windowOf } from './blocks/config.ts';
import { decoderFamily } from './blocks/decoder.ts';
import { GatedMLP } from './blocks/mlp.ts';
import { gemmaCommon } from './gemma2.ts';

/** Rotary positions of layers that see everything, and of those within the window. */
function ropes(f: Fields, headDim: number): [full: Rope, sliding: Rope] {
  const both = scalingOf(f);
  const [full, sliding] = [both?.object('full_attention'), both?.object('sliding_attention')];
  const local = { type: 'default' as const, theta: f.positive('rope_local_base_freq', 10000) };
  return [
    ropeOf(f, headDim, { theta: 1e6, scaling: full }),
    sliding ? ropeOf(f, headDim, { theta: local.theta, scaling: sliding }) : { rope: local, dim: headDim },
  ];
}

export const gemma3 = /*@__PURE__*/ decoderFamily({
  name: 'gemma3',
  architectures: ['Gemma3ForCausalLM'],
  modelTypes: ['gemma3_text'],
  spec(config) {
    const c = gemmaCommon(config, 131072);
    const f = c.fields;
    const window = windowOf(f, 4096);
    const bias = f.flag('attention_bias', false);
    const pattern = f.count('sliding_window_pattern', 6);
    if (f.has('attn_logit_softcapping')) throw f.error('attn_logit_softcapping', 'null in this family');
    return {
      ...c,
      ropes: ropes(f, c.heads.headDim),
      embedScale: Math.sqrt(c.hiddenSize),
      logitsSoftcap: f.optional('final_logit_softcapping'),
      layers: slidingLayers(f, c.layerCount, (i) => (i + 1) % pattern !== 0).map((sliding) => ({
        attention: {
          ...c.heads,
          qkvBias: bias,
          outBias: bias,
          norm: { ...c.norm, over: 'head' as const },
          scale: c.scale,
          window: sliding ? window : undefined,
          rope: sliding ? 1 : 0,
        },
        norms: 'both' as const,
        norm: c.norm,
        feedForward: (weights) => new GatedMLP(c, weights),
      })),
    };
  },
});
