// Qwen 3 MoE: Qwen 3 whose MLPs, in most layers, are mixtures of experts.
import { commonOf, optionalWindows, ropeOf } from './blocks/config.ts';
import { decoderFamily } from './blocks/decoder.ts';
import { qwenExperts } from './blocks/qwen-experts.ts';

export const qwen3Moe = /*@__PURE__*/ decoderFamily({
  name: 'qwen3_moe',
  architectures: ['Qwen3MoeForCausalLM'],
  modelTypes: ['qwen3_moe'],
  spec(config) {
    const c = commonOf(config, { maxPositions: 32768 });
    const f = c.fields;
    const bias = f.flag('attention_bias', false);
    const experts = qwenExperts(c, { count: 128, perToken: 8, intermediateSize: 768 });
    return {
      ...c,
      ropes: [ropeOf(f, c.heads.headDim)],
      layers: optionalWindows(f, c.layerCount, () => true).map((window, i) => ({
        attention: { ...c.heads, window, qkvBias: bias, outBias: bias, norm: { ...c.norm, over: 'head' as const } },
        norms: 'before' as const,
        norm: c.norm,
        feedForward: (weights) => experts.feedForward(i, weights),
      })),
      stacked: experts.stacked,
    };
  },
});
