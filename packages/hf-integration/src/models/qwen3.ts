// Qwen 3: Qwen 2 with each head's queries and keys normed, and without biases unless the config asks.
import { commonOf, optionalWindows, ropeOf } from './blocks/config.ts';
import { decoderFamily } from './blocks/decoder.ts';
import { GatedMLP } from './blocks/mlp.ts';

export const qwen3 = /*@__PURE__*/ decoderFamily({
  name: 'qwen3',
  architectures: ['Qwen3ForCausalLM'],
  modelTypes: ['qwen3'],
  spec(config) {
    const c = commonOf(config, { maxPositions: 32768, headDim: 128 });
    const f = c.fields;
    const upper = f.count('max_window_layers', 28, 0);
    const bias = f.flag('attention_bias', false);
    return {
      ...c,
      ropes: [ropeOf(f, c.heads.headDim)],
      layers: optionalWindows(f, c.layerCount, (i) => i >= upper).map((window) => ({
        attention: { ...c.heads, window, qkvBias: bias, outBias: bias, norm: { ...c.norm, over: 'head' as const } },
        norms: 'before' as const,
        norm: c.norm,
        feedForward: (weights) => new GatedMLP(c, weights),
      })),
    };
  },
});
