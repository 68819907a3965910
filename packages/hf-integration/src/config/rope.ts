// Rotary position embedding parameters of config.json, and the inverse frequencies [D/2] they mean:
//   inv_freq[i] = theta^(-2i/D), then scaled by the rope type:
//   default: as is; linear: / factor; llama3: long wavelengths / factor, short ones as they are, a smooth blend between.
// transformers 5 has one object rope_parameters; before, rope_theta and rope_scaling.
import { AoError } from '@ao/core';
import type { Fields } from './fields.ts';

export type RopeParameters =
  | { readonly type: 'default'; readonly theta: number }
  | { readonly type: 'linear'; readonly theta: number; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly theta: number;
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositionEmbeddings: number;
    };

const DEFAULT_THETA = 10000;

export function parseRope(config: Fields): RopeParameters {
  const scaling = config.object('rope_parameters') ?? config.object('rope_scaling');
  const theta = scaling?.has('rope_theta')
    ? scaling.positive('rope_theta')
    : config.positive('rope_theta', DEFAULT_THETA);
  if (!scaling) return { type: 'default', theta };
  const type = scaling.text('rope_type', scaling.text('type', 'default'));
  switch (type) {
    case 'default':
      return { type, theta };
    case 'linear':
      return { type, theta, factor: scaling.positive('factor') };
    case 'llama3':
      return {
        type,
        theta,
        factor: scaling.positive('factor'),
        lowFreqFactor: scaling.positive('low_freq_factor'),
        highFreqFactor: scaling.positive('high_freq_factor'),
        originalMaxPositionEmbeddings: scaling.count('original_max_position_embeddings'),
      };
    default:
      throw new AoError('ERR_AO_CONFIG', `${scaling.where}: rope_type '${type}' is not supported`, {
        fix: 'supported: default, linear, llama3',
      });
  }
}

/** Each step is rounded to float32, as torch computes it. */
export function inverseFrequencies(rope: RopeParameters, headDim: number): Float32Array {
  const f = Math.fround;
  const base = Float32Array.from({ length: headDim / 2 }, (_, i) => 1 / f(rope.theta ** f((2 * i) / headDim)));
  if (rope.type === 'default') return base;
  if (rope.type === 'linear') return base.map((w) => w / rope.factor);
  const { factor, lowFreqFactor: low, highFreqFactor: high, originalMaxPositionEmbeddings: length } = rope;
  return base.map((w) => {
    const wavelength = f((2 * Math.PI) / w);
    if (wavelength < length / high) return w;
    const slow = f(w / factor);
    if (wavelength > length / low) return slow;
    const smooth = f(f(f(length / wavelength) - low) / (high - low));
    return f(f(f(1 - smooth) * slow) + f(smooth * w));
  });
}
