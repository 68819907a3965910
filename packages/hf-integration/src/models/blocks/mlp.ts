// The gated MLP: down(act(gate(x)) * up(x)), x [..., H] -> [..., H], I values between.
import { gelu, geluTanh, type Linear, linearAdd, linears, Module, mul, siluMul, slice, type Tensor } from '@ao/core';
import type { Fields } from '../../config/fields.ts';
import type { Weights } from './weights.ts';

/** act(gate) * up. */
export type Gating = (gate: Tensor, up: Tensor) => Tensor;

const GATINGS: Readonly<Record<string, Gating>> = {
  silu: siluMul,
  gelu: (gate, up) => mul(gelu(gate), up),
  gelu_pytorch_tanh: (gate, up) => mul(geluTanh(gate), up),
};

/** The activation that a field of the config names. */
export function gatingOf(f: Fields, field = 'hidden_act', fallback = 'silu'): Gating {
  const found = GATINGS[f.text(field, fallback)];
  if (found) return found;
  throw f.error(field, `one of ${Object.keys(GATINGS).join(', ')}`);
}

export interface MLPSpec {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly gating: Gating;
  readonly bias?: boolean;
  /** One projection gate_up_proj of both. */
  readonly fused?: boolean;
}

/** What follows attention in a layer. */
export interface FeedForward extends Module {
  /** Added to `residual` where it is given. */
  forward(x: Tensor, residual?: Tensor): Tensor;
}

export class GatedMLP extends Module implements FeedForward {
  gate_up_proj: Linear | undefined;
  gate_proj: Linear | undefined;
  up_proj: Linear | undefined;
  down_proj: Linear;
  readonly #spec: MLPSpec;

  constructor(spec: MLPSpec, weights: Weights) {
    super();
    const { hiddenSize: h, intermediateSize: i, bias } = spec;
    if (spec.fused) this.gate_up_proj = weights.linear('gate_up_proj', 2 * i, h, bias);
    else {
      this.gate_proj = weights.linear('gate_proj', i, h, bias);
      this.up_proj = weights.linear('up_proj', i, h, bias);
    }
    this.down_proj = weights.linear('down_proj', h, i, bias);
    this.#spec = spec;
  }

  forward = (x: Tensor, residual?: Tensor): Tensor => {
    const mixed = this.#spec.gating(...this.#project(x));
    const { weight, bias } = this.down_proj;
    return residual === undefined ? this.down_proj.call(mixed) : linearAdd(mixed, weight, bias, residual);
  };

  #project(x: Tensor): [gate: Tensor, up: Tensor] {
    if (this.gate_up_proj) {
      const { intermediateSize: i } = this.#spec;
      const both = this.gate_up_proj.call(x);
      return [slice(both, -1, 0, i), slice(both, -1, i, 2 * i)];
    }
    const both = [this.gate_proj!, this.up_proj!];
    return linears(
      x,
      both.map((m) => m.weight),
      both.map((m) => m.bias),
    ) as [Tensor, Tensor];
  }
}
