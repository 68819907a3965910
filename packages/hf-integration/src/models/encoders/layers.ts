// What encoders share: linear and norm layers with their parameters, attention of every token to every token, activations.
import {
  attention,
  gelu,
  geluTanh,
  LayerNorm,
  Linear,
  linears,
  mul,
  relu,
  reshape,
  sigmoid,
  silu,
  type Tensor,
  tanh,
  transpose,
} from '@ao/core';
import type { Fields } from '../../config/fields.ts';
import type { ParameterSpec } from '../family.ts';

export type Weight = (name: string) => Tensor;

export function linearSpecs(name: string, out: number, from: number, bias = true): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [out, from], role: 'linear' },
    ...(bias ? [{ name: `${name}.bias`, shape: [out], role: 'vector' } as const] : []),
  ];
}

export function normSpecs(name: string, size: number): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [size], role: 'vector' },
    { name: `${name}.bias`, shape: [size], role: 'vector' },
  ];
}

export function linearOf(weight: Weight, name: string, bias = true): Linear {
  return new Linear(weight(`${name}.weight`), bias ? weight(`${name}.bias`) : undefined);
}

export function normOf(weight: Weight, name: string, eps: number): LayerNorm {
  return new LayerNorm(weight(`${name}.weight`), weight(`${name}.bias`), eps);
}

/** x [B, T, H] through the query, key and value projections and attention of `heads` heads -> [B, T, H]; mask as in attention. */
export function selfAttention(x: Tensor, projections: readonly Linear[], heads: number, mask?: Tensor): Tensor {
  const [b, t, h] = x.shape as [number, number, number];
  const [q, k, v] = linears(
    x,
    projections.map((m) => m.weight),
    projections.map((m) => m.bias),
  ).map((y) => reshape(y, [b, t, heads, h / heads])) as [Tensor, Tensor, Tensor];
  return reshape(attention(q, transpose(k, 1, 2), transpose(v, 1, 2), undefined, mask, {}), [b, t, h]);
}

export type Activation = (x: Tensor) => Tensor;

/** x * sigmoid(1.702 x), as OpenAI's CLIP approximates gelu. */
const quickGelu: Activation = (x) => mul(x, sigmoid(mul(x, 1.702)));

const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  gelu,
  gelu_fast: geluTanh,
  gelu_new: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  quick_gelu: quickGelu,
  relu,
  silu,
  swish: silu,
  tanh,
};

export function activationOf(f: Fields, field: string, fallback: string): Activation {
  const found = ACTIVATIONS[f.text(field, fallback)];
  if (found === undefined) throw f.error(field, `one of ${Object.keys(ACTIVATIONS).join(', ')}`);
  return found;
}

/** Sizes that every encoder's config has. */
export interface EncoderSizes {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly layerNormEps: number;
  readonly activation: Activation;
}

export function parseSizes(f: Fields, layerNormEps: number, activation: string): EncoderSizes {
  const hiddenSize = f.count('hidden_size');
  const numAttentionHeads = f.count('num_attention_heads');
  if (hiddenSize % numAttentionHeads !== 0)
    throw f.error('num_attention_heads', `a divisor of hidden_size ${hiddenSize}`);
  return {
    hiddenSize,
    intermediateSize: f.count('intermediate_size'),
    numHiddenLayers: f.count('num_hidden_layers'),
    numAttentionHeads,
    layerNormEps: f.positive('layer_norm_eps', layerNormEps),
    activation: activationOf(f, 'hidden_act', activation),
  };
}
