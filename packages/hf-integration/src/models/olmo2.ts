// OLMo 2: norms after attention and after the MLP, queries and keys normed over all heads together.
import { commonOf, ropeOf } from './blocks/config.ts';
import { decoderFamily } from './blocks/decoder.ts';
import { GatedMLP } from './blocks/mlp.ts';

export const olmo2 = /*@__PURE__*/ decoderFamily({
  name: 'olmo2',
  architectures: ['Olmo2ForCausalLM'],
  modelTypes: ['olmo2'],
  spec(config) {
    const c = commonOf(config, { maxPositions: 2048, eps: 1e-5 });
    const bias = c.fields.flag('attention_bias', false);
    return {
      ...c,
      ropes: [ropeOf(c.fields, c.heads.headDim)],
      layers: Array.from({ length: c.layerCount }, () => ({
        attention: { ...c.heads, qkvBias: bias, outBias: bias, norm: { ...c.norm, over: 'projection' as const } },
        norms: 'after' as const,
        norm: c.norm,
        feedForward: (weights) => new GatedMLP(c, weights),
      })),
    };
  },
});
