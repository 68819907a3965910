// YaRN (arXiv 2309.00071) and LongRoPE (arXiv 2402.13753), as transformers computes them. Besides the frequencies both
// multiply cos and sin by attentionFactor.
//   yarn:     inv[i] = a blend of 1 / p[i] and 1 / (factor p[i]), linear between the dimensions that make betaFast and
//             betaSlow turns in the original length; p[i] = theta^(2i/R)
//   longrope: inv[i] = 1 / (f[i] p[i]), f = the short factors up to the original length, the long ones beyond
import type { Fields } from './fields.ts';

export interface Yarn {
  readonly type: 'yarn';
  readonly theta: number;
  readonly factor: number;
  readonly attentionFactor: number;
  readonly betaFast: number;
  readonly betaSlow: number;
  readonly truncate: boolean;
  readonly originalMaxPositionEmbeddings: number;
}

export interface LongRope {
  readonly type: 'longrope';
  readonly theta: number;
  readonly attentionFactor: number;
  readonly shortFactor: readonly number[];
  readonly longFactor: readonly number[];
  readonly originalMaxPositionEmbeddings: number;
}

const f = Math.fround;

/** The config's own number wins, then the scaling's; else the model never was longer. */
function originalLength(config: Fields, scaling: Fields): number {
  const name = 'original_max_position_embeddings';
  if (config.has(name)) return config.count(name);
  return scaling.has(name) ? scaling.count(name) : config.count('max_position_embeddings');
}

const mscale = (scale: number, m = 1): number => (scale <= 1 ? 1 : 0.1 * m * Math.log(scale) + 1);

export function parseYarn(config: Fields, scaling: Fields, theta: number): Yarn {
  const original = originalLength(config, scaling);
  const factor = scaling.has('factor')
    ? scaling.positive('factor')
    : config.count('max_position_embeddings') / original;
  const both = scaling.has('mscale') && scaling.has('mscale_all_dim');
  const usual = both
    ? mscale(factor, scaling.positive('mscale')) / mscale(factor, scaling.positive('mscale_all_dim'))
    : mscale(factor);
  return {
    type: 'yarn',
    theta,
    factor,
    attentionFactor: scaling.positive('attention_factor', usual),
    betaFast: scaling.positive('beta_fast', 32),
    betaSlow: scaling.positive('beta_slow', 1),
    truncate: scaling.flag('truncate', true),
    originalMaxPositionEmbeddings: original,
  };
}

export function parseLongRope(config: Fields, scaling: Fields, theta: number): LongRope {
  const original = originalLength(config, scaling);
  const factor = scaling.has('factor')
    ? scaling.positive('factor')
    : config.count('max_position_embeddings') / original;
  const usual = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
  return {
    type: 'longrope',
    theta,
    attentionFactor: scaling.positive('attention_factor', usual),
    shortFactor: scaling.numbers('short_factor'),
    longFactor: scaling.numbers('long_factor'),
    originalMaxPositionEmbeddings: original,
  };
}

/** powers[i] = theta^(2i/R). */
export function longRopeFrequencies(rope: LongRope, powers: Float32Array, length: number): Float32Array {
  const factors = length > rope.originalMaxPositionEmbeddings ? rope.longFactor : rope.shortFactor;
  return powers.map((p, i) => 1 / f(f(factors[i]!) * p));
}

/** powers[i] = theta^(2i/R). */
export function yarnFrequencies(rope: Yarn, powers: Float32Array): Float32Array {
  const dim = 2 * powers.length;
  const turning = (turns: number): number =>
    (dim * Math.log(rope.originalMaxPositionEmbeddings / (turns * 2 * Math.PI))) / (2 * Math.log(rope.theta));
  const [from, to] = [turning(rope.betaFast), turning(rope.betaSlow)];
  const low = Math.max(rope.truncate ? Math.floor(from) : from, 0);
  const high = Math.min(rope.truncate ? Math.ceil(to) : to, dim - 1);
  const span = high === low ? 0.001 : high - low;
  return powers.map((p, i) => {
    const own = f(1 - Math.min(Math.max(f(f(i - low) / span), 0), 1));
    return f(f(1 / f(rope.factor * p)) * f(1 - own)) + f(f(1 / p) * own);
  });
}
