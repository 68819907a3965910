// Weights that have not been quantized, whatever holds them: plain tensors, and kinds whose codes are floats of the same values.
import { type Dense, dequantize, scope, type Tensor, unpackedOf } from '@ao/core';

const FLOATS: readonly (string | undefined)[] = ['float32', 'bfloat16', 'float16'];

export function isFloatWeight(t: Tensor): boolean {
  if (t.kind === null) return true;
  const format = t.packed?.format ?? scope(() => t.kind?.spec.weight?.(t as never)?.format);
  return FLOATS.includes(format?.code) && format?.twoOfFour !== true;
}

/** The values in the weight's dtype: the weight itself where it is plain, else a new tensor. */
export const plainOf = (t: Tensor): Dense => dequantize(unpackedOf(t)) as Dense;
