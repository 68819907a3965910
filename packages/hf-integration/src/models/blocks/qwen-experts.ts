// Which of a Qwen MoE's layers are mixtures of experts, and what they are made of: every decoder_sparse_step-th layer that
// mlp_only_layers does not name; the others have a plain MLP.
import type { Fields } from '../../config/fields.ts';
import type { Common } from './config.ts';
import { type ExpertsSpec, expertCounts, SparseMoeBlock, stackedExperts } from './experts.ts';
import { type FeedForward, GatedMLP } from './mlp.ts';
import type { Weights } from './weights.ts';

/** What the family assumes where the config is silent. */
type Defaults = Pick<ExpertsSpec, 'count' | 'perToken' | 'intermediateSize' | 'sharedIntermediateSize'>;

interface QwenExperts {
  feedForward(layer: number, weights: Weights): FeedForward;
  readonly stacked: Readonly<Record<string, readonly string[]>>;
}

function specOf(c: Common, f: Fields, defaults: Defaults): ExpertsSpec {
  const { sharedIntermediateSize: shared } = defaults;
  return {
    hiddenSize: c.hiddenSize,
    gating: c.gating,
    // Qwen3-MoE's own name and transformers' general one
    ...expertCounts(f, [f.has('num_experts') ? 'num_experts' : 'num_local_experts', defaults.count], defaults.perToken),
    intermediateSize: f.count('moe_intermediate_size', defaults.intermediateSize),
    normalised: f.flag('norm_topk_prob', false),
    names: ['gate_proj', 'up_proj', 'down_proj'],
    ...(shared === undefined ? {} : { sharedIntermediateSize: f.count('shared_expert_intermediate_size', shared) }),
  };
}

export function qwenExperts(c: Common, defaults: Defaults): QwenExperts {
  const f = c.fields;
  const spec = specOf(c, f, defaults);
  const step = f.count('decoder_sparse_step', 1);
  const plain = f.ids('mlp_only_layers');
  const sparse = (layer: number): boolean => !plain.includes(layer) && (layer + 1) % step === 0;
  const names = Array.from({ length: c.layerCount }, (_, i) => (sparse(i) ? [`model.layers.${i}.mlp`] : [])).flat();
  return {
    feedForward: (layer, weights) => (sparse(layer) ? new SparseMoeBlock(spec, weights) : new GatedMLP(c, weights)),
    stacked: Object.assign({}, ...names.map((at) => stackedExperts(spec, at, at))),
  };
}
