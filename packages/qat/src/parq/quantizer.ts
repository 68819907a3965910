// What PARQ's quantizers give: the values that parameters are drawn to, in float32, for rows that share nothing.
import { add, mean, sub, type Tensor, tensor } from '@ao/core';
import type { AoConfig } from '@ao/quantization';

export interface Quantized {
  /** p rounded, in its shape. */
  readonly q: Tensor;
  /** All values, ascending: [rows, levelCount(bits)]. */
  readonly levels: Tensor;
}

export interface Quantizer {
  /** torchao's get_quant_size. */
  levelCount(bits: number): number;
  /** p float32 [rows, columns]; bits 0: ternary. Throws ERR_AO_CONFIG for bits that it has no values for. */
  quantize(p: Tensor, bits: number): Quantized;
  /** The scheme that gives the same values, so that converting rounds nothing; absent where there is none. */
  config?(bits: number, groupSize: number | undefined, weightOnly: boolean): AoConfig;
}

export const row = (p: Tensor, values: readonly number[]): Tensor =>
  tensor(p.rt, values, { shape: [1, values.length], device: p.device });

/** from, from + 1, ... up to `to`. */
export const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.floor(to - from + 1e-5) + 1 }, (_, i) => from + i);

/** Quantizes p without the mean of each row, where `on`. */
export function centred(p: Tensor, on: boolean, quantize: (p: Tensor) => Quantized): Quantized {
  if (!on) return quantize(p);
  const middle = mean(p, 1, true);
  const { q, levels } = quantize(sub(p, middle));
  return { q: add(q, middle), levels: add(levels, middle) };
}
