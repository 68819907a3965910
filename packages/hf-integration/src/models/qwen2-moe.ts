// Qwen 1.5 and 2 MoE: Qwen 2 whose MLPs, in most layers, are mixtures of experts with one expert shared by all tokens.
import { commonOf, optionalWindows, ropeOf } from './blocks/config.ts';
import { decoderFamily } from './blocks/decoder.ts';
import { qwenExperts } from './blocks/qwen-experts.ts';

export const qwen2Moe = /*@__PURE__*/ decoderFamily({
  name: 'qwen2_moe',
  architectures: ['Qwen2MoeForCausalLM'],
  modelTypes: ['qwen2_moe'],
  spec(config) {
    const c = commonOf(config, { maxPositions: 32768 });
    const f = c.fields;
    const upper = f.count('max_window_layers', 28, 0);
    const experts = qwenExperts(c, { count: 60, perToken: 4, intermediateSize: 1408, sharedIntermediateSize: 5632 });
    return {
      ...c,
      ropes: [ropeOf(f, c.heads.headDim)],
      layers: optionalWindows(f, c.layerCount, (i) => i % 2 === 0 && i < upper).map((window, i) => ({
        attention: { ...c.heads, window, qkvBias: f.flag('qkv_bias', true) },
        norms: 'before' as const,
        norm: c.norm,
        feedForward: (weights) => experts.feedForward(i, weights),
      })),
      stacked: experts.stacked,
    };
  },
});
