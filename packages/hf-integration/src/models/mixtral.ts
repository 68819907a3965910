// Mixtral: Mistral whose MLPs are mixtures of experts.
import { commonOf, ropeOf, windowOf } from './blocks/config.ts';
import { decoderFamily } from './blocks/decoder.ts';
import { type ExpertsSpec, expertCounts, SparseMoeBlock, stackedExperts } from './blocks/experts.ts';

const NAME = 'block_sparse_moe';

export const mixtral = /*@__PURE__*/ decoderFamily({
  name: 'mixtral',
  architectures: ['MixtralForCausalLM'],
  modelTypes: ['mixtral'],
  spec(config) {
    const c = commonOf(config, { maxPositions: 131072, eps: 1e-5 });
    const f = c.fields;
    const window = windowOf(f);
    const experts: ExpertsSpec = {
      ...c,
      ...expertCounts(f, ['num_local_experts', 8], 2),
      normalised: true,
      names: ['w1', 'w3', 'w2'],
    };
    const layers = Array.from({ length: c.layerCount }, (_, i) => `model.layers.${i}`);
    return {
      ...c,
      ropes: [ropeOf(f, c.heads.headDim, { theta: 1e6 })],
      layers: layers.map(() => ({
        attention: { ...c.heads, window },
        norms: 'before' as const,
        norm: c.norm,
        feedForwardName: NAME,
        feedForward: (weights) => new SparseMoeBlock(experts, weights),
      })),
      stacked: Object.assign({}, ...layers.map((at) => stackedExperts(experts, `${at}.mlp`, `${at}.${NAME}`))),
    };
  },
});
