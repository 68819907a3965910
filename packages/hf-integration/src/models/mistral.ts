// Mistral: Llama whose layers all attend within a sliding window, where the config has one.
import { commonOf, ropeOf, windowOf } from './blocks/config.ts';
import { decoderFamily } from './blocks/decoder.ts';
import { GatedMLP } from './blocks/mlp.ts';

export const mistral = /*@__PURE__*/ decoderFamily({
  name: 'mistral',
  architectures: ['MistralForCausalLM'],
  modelTypes: ['mistral'],
  spec(config) {
    const c = commonOf(config, { maxPositions: 131072 });
    const window = windowOf(c.fields, 4096);
    return {
      ...c,
      ropes: [ropeOf(c.fields, c.heads.headDim)],
      layers: Array.from({ length: c.layerCount }, () => ({
        attention: { ...c.heads, window },
        norms: 'before' as const,
        norm: c.norm,
        feedForward: (weights) => new GatedMLP(c, weights),
      })),
    };
  },
});
