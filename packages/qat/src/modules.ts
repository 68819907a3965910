// FakeQuantizedLinear and FakeQuantizedEmbedding: what prepare puts in the place of Linear and Embedding. Their weight is a
// FakeQuantizedTensor, so that models which read it by fused ops train the same way.
import { type Dense, Embedding, keep, Linear } from '@ao/core';
import { configError, type FakeQuantizeConfigBase } from './config/fake-quantize.ts';
import { fakeQuantizerOf } from './fake-quantize/from-config.ts';
import { type FakeQuantizedTensor, fakeQuantizedKind, fakeQuantizedTensor } from './fake-quantized-tensor.ts';

type Config = FakeQuantizeConfigBase | null;

function ofWeight(weight: unknown): FakeQuantizedTensor {
  if (fakeQuantizedKind.is(weight)) return weight;
  throw configError('the weight is not fake-quantized', 'make the module by fromLinear or fromEmbedding');
}

/** A weight for configs of one's own, without a base config. */
export function ownTensor(weight: Dense, activationConfig: Config, weightConfig: Config): FakeQuantizedTensor {
  return fakeQuantizedTensor(weight, {
    baseConfig: null,
    activationConfig,
    weightConfig,
    activation: activationConfig && fakeQuantizerOf(activationConfig),
    weight: weightConfig && fakeQuantizerOf(weightConfig),
    quantize: null,
    float32Alike: false,
  });
}

/** y = fq(x) fq(W)^T + b. */
export class FakeQuantizedLinear extends Linear {
  /** With configs of its own; the linear's weight is trained on, in place. */
  static fromLinear(linear: Linear, activationConfig: Config = null, weightConfig: Config = null): FakeQuantizedLinear {
    const { weight, bias } = linear;
    const own = keep(ownTensor(weight as Dense, activationConfig, weightConfig));
    if (weight.requiresGrad) own.requiresGrad = true;
    return new FakeQuantizedLinear(own, bias);
  }

  get weightFakeQuantizer(): FakeQuantizedTensor['attrs'] {
    return ofWeight(this.weight).attrs;
  }

  /** The linear of the trained weight. */
  toLinear(): Linear {
    return new Linear(ofWeight(this.weight).weight, this.bias);
  }
}

/** Rows of fq(W). */
export class FakeQuantizedEmbedding extends Embedding {
  static fromEmbedding(embedding: Embedding, weightConfig: Config = null): FakeQuantizedEmbedding {
    const { weight } = embedding;
    const own = keep(ownTensor(weight as Dense, null, weightConfig));
    if (weight.requiresGrad) own.requiresGrad = true;
    return new FakeQuantizedEmbedding(own);
  }

  get weightFakeQuantizer(): FakeQuantizedTensor['attrs'] {
    return ofWeight(this.weight).attrs;
  }

  toEmbedding(): Embedding {
    return new Embedding(ofWeight(this.weight).weight);
  }
}

/** Lets fake-quantized weights of a model be read as they are, or rounded again. */
export function enableFakeQuant(model: { packable(): Iterable<unknown> }, enabled = true): void {
  for (const t of model.packable()) if (fakeQuantizedKind.is(t)) t.attrs.state.enabled = enabled;
}
