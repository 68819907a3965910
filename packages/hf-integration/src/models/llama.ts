// Llama 1 to 3, SmolLM, SmolLM2, TinyLlama and all that have their architecture: norms before, grouped queries, SwiGLU.
import { commonOf, ropeOf } from './blocks/config.ts';
import { decoderFamily } from './blocks/decoder.ts';
import { GatedMLP } from './blocks/mlp.ts';

export const llama = /*@__PURE__*/ decoderFamily({
  name: 'llama',
  architectures: ['LlamaForCausalLM'],
  modelTypes: ['llama'],
  spec(config) {
    const c = commonOf(config, { maxPositions: 2048 });
    const f = c.fields;
    const [bias, mlpBias] = [f.flag('attention_bias', false), f.flag('mlp_bias', false)];
    return {
      ...c,
      ropes: [ropeOf(f, c.heads.headDim)],
      layers: Array.from({ length: c.layerCount }, () => ({
        attention: { ...c.heads, qkvBias: bias, outBias: bias },
        norms: 'before' as const,
        norm: c.norm,
        feedForward: (weights) => new GatedMLP({ ...c, bias: mlpBias }, weights),
      })),
    };
  },
});
