// Weights that have not been quantized, whatever holds them: plain tensors, and kinds whose codes are floats of the same values.
import { type Dense, dequantize, scope, type Tensor, unpackedOf } from '@ao/core';

const FLOATS: readonly (string | undefined)[] = ['float32', 'bfloat16', 'float16'];

export const isFloatWeight = (t: Tensor): boolean =>
  t.kind === null ||
  FLOATS.includes(t.packed?.format.code ?? scope(() => t.kind?.spec.weight?.(t as never)?.format.code));

/** The values in the weight's dtype: the weight itself where it is plain, else a new tensor. */
export const plainOf = (t: Tensor): Dense => dequantize(unpackedOf(t)) as Dense;
