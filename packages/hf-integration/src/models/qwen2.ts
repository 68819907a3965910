// Qwen 2 and 2.5: Llama with biases on queries, keys and values, and windows in the upper layers where the config asks.
import { commonOf, optionalWindows, ropeOf } from './blocks/config.ts';
import { decoderFamily } from './blocks/decoder.ts';
import { GatedMLP } from './blocks/mlp.ts';

export const qwen2 = /*@__PURE__*/ decoderFamily({
  name: 'qwen2',
  architectures: ['Qwen2ForCausalLM'],
  modelTypes: ['qwen2'],
  spec(config) {
    const c = commonOf(config, { maxPositions: 32768 });
    const f = c.fields;
    const upper = f.count('max_window_layers', 28, 0);
    return {
      ...c,
      ropes: [ropeOf(f, c.heads.headDim)],
      layers: optionalWindows(f, c.layerCount, (i) => i >= upper).map((window) => ({
        attention: { ...c.heads, window, qkvBias: true },
        norms: 'before' as const,
        norm: c.norm,
        feedForward: (weights) => new GatedMLP(c, weights),
      })),
    };
  },
});
