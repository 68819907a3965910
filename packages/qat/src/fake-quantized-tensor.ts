// FakeQuantizedTensor: a float weight that linears and embeddings read rounded. It stands in the place of the weight, so that any
// module and fused op trains with it; what is trained is its part 'weight', and scales where ranges are learned.
import {
  type Dense,
  defineKind,
  type Entry,
  embedding,
  type KindOf,
  kindEntry,
  linear,
  override,
  scope,
  type Tensor,
  type WrappedOf,
} from '@ao/core';
import { detach, noGrad } from '@ao/core/autograd';
import type { AoConfig } from '@ao/quantization';
import { configError, type FakeQuantizeConfigBase, type IntxFakeQuantizeConfig } from './config/fake-quantize.ts';
import { fakeQuantize } from './fake-quantize/fake-quantizer.ts';
import { initialRange, learnedFakeQuantize } from './fake-quantize/learned.ts';
import { fakeQuantizedLinear, type LinearScheme } from './fake-quantized-linear.ts';

export interface FakeQuantizedAttrs extends LinearScheme {
  readonly baseConfig: AoConfig | null;
  readonly activationConfig: FakeQuantizeConfigBase | null;
  readonly weightConfig: FakeQuantizeConfigBase | null;
  /** What changes while training: whether values are rounded, and whether learned ranges have been set. */
  readonly state: { enabled: boolean; initialized: boolean };
}

type Optional = 'scale' | 'zero_point';
export type FakeQuantizedTensor = WrappedOf<'weight', Optional, FakeQuantizedAttrs>;

export const fakeQuantizedKind: KindOf<'weight', Optional, FakeQuantizedAttrs> = /*@__PURE__*/ defineKind(
  'fake_quantized',
  {
    parts: ['weight'],
    optional: ['scale', 'zero_point'],
    attrs: (value): FakeQuantizedAttrs => value as FakeQuantizedAttrs,
    dequantize: (t: FakeQuantizedTensor) => roundedWeight(t),
    trains: ['weight', 'scale', 'zero_point'],
  },
);

/** The config of learned ranges, null where scales are found anew. */
export function learnedConfig({ weightConfig: c }: FakeQuantizedAttrs): IntxFakeQuantizeConfig | null {
  return c?.type === 'IntxFakeQuantizeConfig' && c.rangeLearning ? c : null;
}

/** The weight as it is read, differentiably. */
function roundedWeight(t: FakeQuantizedTensor): Tensor {
  const { state, weight } = t.attrs;
  if (!state.enabled) return t.weight;
  const learned = learnedConfig(t.attrs);
  if (learned === null) return weight === null ? t.weight : fakeQuantize(t.weight, weight);
  return learnedFakeQuantize(t.weight, t.scale!, t.zero_point, learned);
}

function requireRange({ attrs }: FakeQuantizedTensor): void {
  if (!attrs.state.enabled || attrs.state.initialized || learnedConfig(attrs) === null) return;
  throw configError(
    'learned ranges have not been initialized',
    'call initializeFakeQuantizers(model, exampleInputs) before the optimizer is made',
  );
}

/** A weight that is read rounded; it shares memory with `weight`, which may be disposed. */
export function fakeQuantizedTensor(weight: Dense, attrs: Omit<FakeQuantizedAttrs, 'state'>): FakeQuantizedTensor {
  const own = { ...attrs, state: { enabled: true, initialized: false } };
  const learned = learnedConfig(own);
  const range = learned === null ? {} : noGrad(() => scope(() => initialRange(weight, learned)));
  return fakeQuantizedKind.make({ weight: detach(weight), ...range }, own, weight.shape, weight.dtype);
}

function read(x: Tensor, w: FakeQuantizedTensor, b: Tensor | undefined): Tensor {
  const { attrs } = w;
  requireRange(w);
  if (!attrs.state.enabled) return linear(x, w.weight, b);
  if (learnedConfig(attrs) === null) return fakeQuantizedLinear(x, w.weight, b, attrs);
  const input = attrs.activation === null ? x : fakeQuantize(x, attrs.activation);
  return linear(input, roundedWeight(w), b);
}

export const fakeQuantizedEntries = (): readonly Entry[] => [
  kindEntry(fakeQuantizedKind),
  override(linear, 1, fakeQuantizedKind, (x, w, b) => scope(() => read(x, w as FakeQuantizedTensor, b))),
  override(embedding, 0, fakeQuantizedKind, (w, indices) =>
    scope(() => {
      requireRange(w as FakeQuantizedTensor);
      return embedding(roundedWeight(w as FakeQuantizedTensor), indices);
    }),
  ),
];
