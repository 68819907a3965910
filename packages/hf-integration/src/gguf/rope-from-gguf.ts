// ropeFromGguf: rope_parameters of config.json. GGUF says some kinds of scaling by tables of factors of each frequency:
//   rope_freqs                 Llama 3: 1 for short wavelengths, `factor` for long ones, a blend between
//   rope_factors_short, _long  LongRoPE
import { inverseFrequencies, type RopeParameters } from '../config/rope.ts';
import type { GgufFields } from './gguf-fields.ts';
import { ggufError } from './parse-gguf.ts';

/** Factors by the name of their tensor. */
export type RopeTables = ReadonlyMap<string, readonly number[]>;

export const ROPE_TABLES: readonly string[] = [
  'rope_freqs.weight',
  'rope_factors_long.weight',
  'rope_factors_short.weight',
];

/** What models of Llama 3 have; the original length is 8192. */
const LLAMA3 = { lowFreqFactor: 1, highFreqFactor: 4 };
const LENGTHS = [8192, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 16384, 32768, 65536, 131072];

/** Fields of config.json. Throws ERR_AO_FORMAT for scaling that config.json cannot say. */
export function ropeFromGguf(f: GgufFields, tables: RopeTables, headDim: number): Record<string, unknown> {
  const theta = f.number('rope.freq_base') ?? 10000;
  const rotated = f.number('rope.dimension_count') ?? headDim;
  const common = { rope_theta: theta, ...(rotated === headDim ? {} : { partial_rotary_factor: rotated / headDim }) };
  const [freqs, long, short] = ROPE_TABLES.map((name) => tables.get(name));
  const original = f.number('rope.scaling.original_context_length');
  if (freqs) return { ...common, rope_scaling: llama3(f, freqs, theta) };
  if (long && short) {
    const scaling = { type: 'longrope', long_factor: long, short_factor: short };
    return {
      ...common,
      original_max_position_embeddings: original ?? f.needed('context_length'),
      rope_scaling: scaling,
    };
  }
  const type = f.text('rope.scaling.type') ?? 'none';
  const factor = f.number('rope.scaling.factor') ?? 1;
  if (type === 'none' || factor === 1) return common;
  if (type === 'linear') return { ...common, rope_scaling: { rope_type: type, factor } };
  if (type !== 'yarn' || original === undefined) throw ggufError(f.file, `rope.scaling.type '${type}' is not read`);
  return { ...common, rope_scaling: { rope_type: type, factor, original_max_position_embeddings: original } };
}

function llama3(f: GgufFields, freqs: readonly number[], theta: number): Record<string, unknown> {
  const factor = freqs.reduce((a, b) => Math.max(a, b), 1);
  const original = LENGTHS.find((length) => {
    const rope = { type: 'llama3', theta, factor, ...LLAMA3, originalMaxPositionEmbeddings: length } as const;
    const expected = llama3Factors(rope, 2 * freqs.length);
    return freqs.every((x, i) => Math.abs(x / expected[i]! - 1) < 0.001);
  });
  if (original === undefined) throw ggufError(f.file, 'its factors are not those of Llama 3', 'rope_freqs.weight');
  return {
    rope_type: 'llama3',
    factor,
    low_freq_factor: LLAMA3.lowFreqFactor,
    high_freq_factor: LLAMA3.highFreqFactor,
    original_max_position_embeddings: original,
  };
}

/** What each frequency is divided by. */
export function llama3Factors(rope: RopeParameters, dim: number): number[] {
  const base = inverseFrequencies({ type: 'default', theta: rope.theta }, dim);
  return [...inverseFrequencies(rope, dim)].map((w, i) => base[i]! / w);
}
