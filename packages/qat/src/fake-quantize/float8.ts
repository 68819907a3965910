// float8 fake quantization: x' = saturate(x / s) s, s from the amax of a row, a block or the tensor. Gradients pass as they are, 0 where
// a bound of the amax let values saturate; torchao 0.18 casts the gradient itself to float8 without a scale, so that small ones vanish.
import {
  abs,
  chooseScaleFloat8,
  type Dense,
  type DType,
  dequantizeAffineFloat8,
  dtypeByName,
  le,
  quantizeAffineFloat8,
  type Tensor,
  where,
} from '@ao/core';
import { blockSizeOf } from '@ao/quantization';
import type { Float8FakeQuantizeConfig } from '../config/fake-quantize.ts';
import type { FakeQuantizer } from './fake-quantizer.ts';
import { straightThrough } from './straight-through.ts';

function rounded(x: Tensor, block: readonly number[], dtype: DType, lb: number | null, ub: number | null): Tensor {
  const scale = chooseScaleFloat8(x, block, dtype, { hpValueLb: lb, hpValueUb: ub });
  return dequantizeAffineFloat8(quantizeAffineFloat8(x, scale, dtype), scale, x.dtype);
}

/** Rounds in blocks; recorded as a straight pass of gradients. */
export const roundToFloat8 = (
  x: Tensor,
  block: readonly number[],
  dtype: DType,
  lb: number | null,
  ub: number | null,
): Tensor => straightThrough(x, () => rounded(x, block, dtype, lb, ub));

export function float8({ dtype, granularity, hpValueLb, hpValueUb }: Float8FakeQuantizeConfig): FakeQuantizer {
  const to = dtypeByName(dtype);
  return {
    forward: (x) => rounded(x, blockSizeOf(x.shape, granularity), to, hpValueLb, hpValueUb),
    backward: (g, x) => (hpValueUb === null ? g : where(le(abs(x as Dense), hpValueUb), g, 0)),
  };
}
