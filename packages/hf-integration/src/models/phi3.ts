// Phi-3, Phi-3.5 and Phi-4-mini: Llama with fused projections, a part of each head rotated, LongRoPE, and windows.
import { commonOf, ropeOf, windowOf } from './blocks/config.ts';
import { decoderFamily } from './blocks/decoder.ts';
import { GatedMLP } from './blocks/mlp.ts';

/** Earlier names of longrope in this family. */
const ALIASES = { su: 'longrope', yarn: 'longrope' };

export const phi3 = /*@__PURE__*/ decoderFamily({
  name: 'phi3',
  architectures: ['Phi3ForCausalLM'],
  modelTypes: ['phi3'],
  spec(config) {
    const c = commonOf(config, { maxPositions: 4096, eps: 1e-5 });
    const window = windowOf(c.fields);
    return {
      ...c,
      ropes: [ropeOf(c.fields, c.heads.headDim, { aliases: ALIASES })],
      layers: Array.from({ length: c.layerCount }, () => ({
        attention: { ...c.heads, window, fused: true },
        norms: 'before' as const,
        norm: c.norm,
        feedForward: (weights) => new GatedMLP({ ...c, fused: true }, weights),
      })),
    };
  },
});
