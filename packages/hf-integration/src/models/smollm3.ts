// SmolLM3: Llama where every fourth layer attends without rotary positions, within a window where the config asks.
import type { Fields } from '../config/fields.ts';
import { commonOf, optionalWindows, ropeOf } from './blocks/config.ts';
import { decoderFamily } from './blocks/decoder.ts';
import { GatedMLP } from './blocks/mlp.ts';

/** Which layers rotate: `no_rope_layers` says 1 for those that do. */
function rotatingLayers(f: Fields, count: number): boolean[] {
  const every = f.count('no_rope_layer_interval', 4);
  if (!f.has('no_rope_layers')) return Array.from({ length: count }, (_, i) => (i + 1) % every !== 0);
  const flags = f.ids('no_rope_layers');
  if (flags.length !== count) throw f.error('no_rope_layers', `a list of 0 and 1, one for each of ${count} layers`);
  return flags.map((flag) => flag !== 0);
}

export const smollm3 = /*@__PURE__*/ decoderFamily({
  name: 'smollm3',
  architectures: ['SmolLM3ForCausalLM'],
  modelTypes: ['smollm3'],
  spec(config) {
    const c = commonOf(config, { maxPositions: 32768, tied: true });
    const f = c.fields;
    const [bias, mlpBias] = [f.flag('attention_bias', false), f.flag('mlp_bias', false)];
    const rotating = rotatingLayers(f, c.layerCount);
    return {
      ...c,
      ropes: [ropeOf(f, c.heads.headDim)],
      layers: optionalWindows(f, c.layerCount, (i) => !rotating[i]).map((window, i) => ({
        attention: { ...c.heads, window, qkvBias: bias, outBias: bias, rope: rotating[i] ? 0 : null },
        norms: 'before' as const,
        norm: c.norm,
        feedForward: (weights) => new GatedMLP({ ...c, bias: mlpBias }, weights),
      })),
    };
  },
});
