// Rotary position embedding parameters of config.json, and the inverse frequencies [R/2] they mean for R rotated values:
//   inv_freq[i] = theta^(-2i/R), then scaled by the rope type:
//   default: as is; linear: / factor; llama3: long wavelengths / factor, short ones as they are, a smooth blend between;
//   yarn and longrope: rope-scaling.ts.
// transformers 5 has one object rope_parameters; before, rope_theta and rope_scaling.
import { AoError } from '@ao/core';
import type { Fields } from './fields.ts';
import {
  type LongRope,
  longRopeFrequencies,
  parseLongRope,
  parseYarn,
  type Yarn,
  yarnFrequencies,
} from './rope-scaling.ts';

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
    }
  | Yarn
  | LongRope;

export interface RopeDefaults {
  /** Where the config is silent; 10000. */
  readonly theta?: number;
  /** The object that holds the parameters, where the config has one for each type of layer. */
  readonly scaling?: Fields | undefined;
  /** Other names of rope types: { su: 'longrope' }. */
  readonly aliases?: Readonly<Record<string, string>>;
}

const DEFAULT_THETA = 10000;

/** The object with the rope type and its numbers, in either spelling. */
export const scalingOf = (config: Fields): Fields | undefined =>
  config.object('rope_parameters') ?? config.object('rope_scaling');

export function parseRope(config: Fields, defaults: RopeDefaults = {}): RopeParameters {
  const scaling = defaults.scaling ?? scalingOf(config);
  const theta = scaling?.has('rope_theta')
    ? scaling.positive('rope_theta')
    : config.positive('rope_theta', defaults.theta ?? DEFAULT_THETA);
  if (!scaling) return { type: 'default', theta };
  const named = scaling.text('rope_type', scaling.text('type', 'default'));
  const type = defaults.aliases?.[named] ?? named;
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
    case 'yarn':
      return parseYarn(config, scaling, theta);
    case 'longrope':
      return parseLongRope(config, scaling, theta);
    default:
      throw new AoError('ERR_AO_CONFIG', `${scaling.where}: rope_type '${type}' is not supported`, {
        fix: 'supported: default, linear, llama3, yarn, longrope',
      });
  }
}

/** How many values of a head are rotated: head_dim x partial_rotary_factor, an even number. */
export function rotaryDim(config: Fields, headDim: number): number {
  const scaling = scalingOf(config);
  const from = scaling?.has('partial_rotary_factor') ? scaling : config;
  const dim = Math.trunc(headDim * from.positive('partial_rotary_factor', 1));
  if (dim % 2 === 0 && dim > 0 && dim <= headDim) return dim;
  throw from.error('partial_rotary_factor', `a part of head_dim ${headDim} that is even`);
}

/** For sequences of up to `length` positions, which longrope looks at. Each step is rounded to float32, as torch computes it. */
export function inverseFrequencies(rope: RopeParameters, dim: number, length = 0): Float32Array {
  const f = Math.fround;
  const powers = Float32Array.from({ length: dim / 2 }, (_, i) => rope.theta ** f((2 * i) / dim));
  if (rope.type === 'longrope') return longRopeFrequencies(rope, powers, length);
  if (rope.type === 'yarn') return yarnFrequencies(rope, powers);
  const base = powers.map((p) => 1 / p);
  if (rope.type === 'default') return base;
  if (rope.type === 'linear') return base.map((w) => w / rope.factor);
  const { factor, lowFreqFactor: low, highFreqFactor: high, originalMaxPositionEmbeddings: original } = rope;
  return base.map((w) => {
    const wavelength = f((2 * Math.PI) / w);
    if (wavelength < original / high) return w;
    const slow = f(w / factor);
    if (wavelength > original / low) return slow;
    const smooth = f(f(f(original / wavelength) - low) / (high - low));
    return f(f(f(1 - smooth) * slow) + f(smooth * w));
  });
}
