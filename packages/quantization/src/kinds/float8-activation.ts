// Activations in float8: codes and scales by the granularity of the weight's kwargs, and the values they stand for.
import {
  chooseScaleFloat8,
  type DType,
  defineOp,
  dequantizeAffineFloat8,
  dtypeByName,
  float32,
  quantizeAffineFloat8,
  type Tensor,
} from '@ao/core';
import type { Float8Dtype } from '../config/float-fields.ts';
import { blockSizeOf, perRow } from '../config/granularity.ts';
import type { QuantizeTensorToFloat8Kwargs } from './float8-attributes.ts';
import { cropped, padded } from './short-blocks.ts';

export interface Float8Activation {
  readonly qdata: Tensor;
  /** float32, by the blocks of the granularity. */
  readonly scale: Tensor;
}

/** x [M, K] -> codes [M, K] and float32 scales [M, 1] of its rows, in one call. */
const quantizeRowsFloat8 = /*@__PURE__*/ defineOp<[x: Tensor, dtype: DType], [codes: Tensor, scale: Tensor]>(
  'quantize_rows_float8',
  {
    meta: (x, dtype) => [
      { shape: x.shape, dtype },
      { shape: [x.shape[0]!, 1], dtype: float32 },
    ],
    decompose(x, dtype) {
      const scale = chooseScaleFloat8(x, [1, x.shape[1]!], dtype);
      return [quantizeAffineFloat8(x, scale, dtype), scale];
    },
  },
);

/** x [M, K] in float8 as torchao's Float8Tensor.from_hp makes it; a given scale [1, 1] is a static one. */
export function quantizeActivationFloat8(
  x: Tensor,
  kwargs: QuantizeTensorToFloat8Kwargs,
  scale?: Tensor,
): Float8Activation {
  const dtype = dtypeByName(kwargs.float8Dtype);
  const blockSize = blockSizeOf(x.shape, kwargs.granularity);
  const { hpValueLb, hpValueUb } = kwargs;
  if (
    scale === undefined &&
    hpValueLb === null &&
    hpValueUb === null &&
    blockSize[0] === 1 &&
    blockSize[1] === x.shape[1]
  ) {
    const [qdata, s] = quantizeRowsFloat8(x, dtype);
    return { qdata, scale: s };
  }
  const whole = padded(x, blockSize);
  const s = scale ?? chooseScaleFloat8(whole, blockSize, dtype, { hpValueLb, hpValueUb });
  return { qdata: cropped(quantizeAffineFloat8(whole, s, dtype), x.shape), scale: s };
}

/** The values that x [M, K] has once it is rounded to float8, in `dtype`. */
export function roundToFloat8(x: Tensor, kwargs: QuantizeTensorToFloat8Kwargs, dtype: DType, scale?: Tensor): Tensor {
  const { qdata, scale: s } = quantizeActivationFloat8(x, kwargs, scale);
  const blockSize = blockSizeOf(x.shape, kwargs.granularity);
  return cropped(dequantizeAffineFloat8(padded(qdata, blockSize), s, dtype), x.shape);
}

/** One scale for each row. */
export const float8Rows = (float8Dtype: Float8Dtype): QuantizeTensorToFloat8Kwargs => ({
  float8Dtype,
  granularity: perRow(),
  mmConfig: null,
  hpValueLb: null,
  hpValueUb: null,
  kernelPreference: 'AUTO',
});
