// A sparse mixture of experts: each token goes through the k experts of the E that its router gives most, weighted:
//   p = softmax(router(x)) in float32; y = sum over the k largest p_e of w_e expert_e(x), w = p, or p over their sum;
//   y += sigmoid(shared_expert_gate(x)) shared_expert(x) where there is a shared expert
// The choice stays on the device, so a step can be captured; only the chosen experts' weights are read. Experts have Hugging
// Face's names and are quantized one by one; checkpoints that hold them in one 3-D tensor are read too (`stackedExperts`).
import {
  add,
  cast,
  div,
  float32,
  type Linear,
  linear,
  linearExperts,
  Module,
  mul,
  reshape,
  sigmoid,
  softmax,
  sum,
  type Tensor,
  topk,
  unsqueeze,
} from '@ao/core';
import type { Fields } from '../../config/fields.ts';
import { type FeedForward, GatedMLP, type Gating } from './mlp.ts';
import type { Weights } from './weights.ts';

export interface ExpertsSpec {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  /** E. */
  readonly count: number;
  /** k. */
  readonly perToken: number;
  /** The k weights add up to 1. */
  readonly normalised: boolean;
  readonly gating: Gating;
  /** Names of an expert's three linears. */
  readonly names: readonly [gate: string, up: string, down: string];
  readonly sharedIntermediateSize?: number;
}

/** The experts' number and how many a token takes, by the names of two fields. */
export function expertCounts(
  f: Fields,
  [all, fallback]: [string, number],
  perTokenFallback: number,
): Pick<ExpertsSpec, 'count' | 'perToken'> {
  const count = f.count(all, fallback);
  const perToken = f.count('num_experts_per_tok', perTokenFallback);
  if (perToken > count) throw f.error('num_experts_per_tok', `at most the number of experts, ${count}`);
  return { count, perToken };
}

/** Scores of the experts: kept as it is unless a rule names it, as transformers' routers are. */
class Router extends Module {
  weight: Tensor;

  constructor(weight: Tensor) {
    super();
    this.weight = weight;
  }

  override packableNames(): readonly string[] {
    return ['weight'];
  }

  forward = (x: Tensor): Tensor => linear(x, this.weight);
}

/** One expert's linears, under the names that the spec gives; the block runs those of all experts together. */
class Expert extends Module {
  readonly #spec: ExpertsSpec;

  constructor(spec: ExpertsSpec, weights: Weights) {
    super();
    const { names, hiddenSize: h, intermediateSize: i } = spec;
    const [gate, up, down] = names;
    const linears = {
      [gate]: weights.linear(gate, i, h),
      [up]: weights.linear(up, i, h),
      [down]: weights.linear(down, h, i),
    };
    Object.assign(this, linears);
    this.#spec = spec;
  }

  linear(name: string): Linear {
    return (this as unknown as Record<string, Linear>)[name]!;
  }

  forward = (x: Tensor): Tensor => {
    const [gate, up, down] = this.#spec.names.map((name) => this.linear(name));
    return down!.call(this.#spec.gating(gate!.call(x), up!.call(x)));
  };
}

export class SparseMoeBlock extends Module implements FeedForward {
  gate: Router;
  experts: Expert[];
  shared_expert: GatedMLP | undefined;
  shared_expert_gate: Linear | undefined;
  readonly #spec: ExpertsSpec;

  constructor(spec: ExpertsSpec, weights: Weights) {
    super();
    const { hiddenSize, sharedIntermediateSize, gating } = spec;
    this.gate = new Router(weights.at('gate').tensor('weight', [spec.count, hiddenSize], 'router'));
    this.experts = Array.from({ length: spec.count }, (_, e) => new Expert(spec, weights.at(`experts.${e}`)));
    if (sharedIntermediateSize !== undefined) {
      const shared = { hiddenSize, intermediateSize: sharedIntermediateSize, gating };
      this.shared_expert = new GatedMLP(shared, weights.at('shared_expert'));
      this.shared_expert_gate = weights.linear('shared_expert_gate', 1, hiddenSize);
    }
    this.#spec = spec;
  }

  forward = (x: Tensor, residual?: Tensor): Tensor => {
    const h = this.#spec.hiddenSize;
    const tokens = reshape(x, [-1, 1, h]);
    const routed = reshape(this.#route(tokens), x.shape);
    const out = this.shared_expert ? add(routed, this.#shared(x)) : routed;
    return residual === undefined ? out : add(residual, out);
  };

  /** x [N, 1, H] -> [N, H]. */
  #route(x: Tensor): Tensor {
    const { count, perToken, normalised, gating, names } = this.#spec;
    const scores = cast(reshape(this.gate.call(x), [x.shape[0]!, count]), float32);
    const [largest, index] = topk(softmax(scores), perToken);
    const weights = cast(normalised ? div(largest, sum(largest, -1, true)) : largest, x.dtype);
    const [gates, ups, downs] = names.map((name) => this.experts.map((e) => e.linear(name).weight));
    const between = gating(linearExperts(x, gates!, index), linearExperts(x, ups!, index));
    return sum(mul(linearExperts(between, downs!, index), unsqueeze(weights, 2)), 1);
  }

  #shared(x: Tensor): Tensor {
    return mul(sigmoid(this.shared_expert_gate!.call(x)), this.shared_expert!.call(x));
  }
}

/**
 * Names of tensors that a checkpoint may hold in the place of experts [out, in], stacked: gate_up_proj [E, 2I, H] and
 * down_proj [E, H, I] below `stacked`, for the experts below `own`.
 */
export function stackedExperts(spec: ExpertsSpec, stacked: string, own: string): Record<string, readonly string[]> {
  const [gate, up, down] = spec.names;
  const each = (names: readonly string[]): string[] =>
    Array.from({ length: spec.count }, (_, e) => names.map((name) => `${own}.experts.${e}.${name}.weight`)).flat();
  return {
    [`${stacked}.experts.gate_up_proj`]: each([gate, up]),
    [`${stacked}.experts.down_proj`]: each([down]),
    ...(stacked === own ? {} : { [`${stacked}.gate.weight`]: [`${own}.gate.weight`] }),
  };
}
