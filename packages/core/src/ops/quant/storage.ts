// Dtypes that the primitives compute in and store codes in.
import type { DType } from '../../dtype.ts';
import { int8, uint8 } from '../../dtypes/index.ts';
import { AoError } from '../../errors.ts';
import type { Tensor } from '../../tensor.ts';
import { numel } from '../../tensor.ts';
import { requireFloat } from '../checks.ts';
import { blockGrid } from './blocks.ts';
import { type QuantDType, quantName } from './quant-range.ts';

/** int1..int7 live in int8, uint1..uint7 in uint8, as in torchao. */
export const storageOf = (dtype: QuantDType): DType => (quantName(dtype).startsWith('u') ? uint8 : int8);

/** Checks the arguments that quantize and dequantize share. */
export function checkQuantArgs(
  op: string,
  input: Tensor,
  blockSize: readonly number[],
  scale: Tensor,
  zeroPoint: Tensor | null,
  floatZero: boolean,
): void {
  const { grid, count } = blockGrid(op, input.shape, blockSize);
  requireFloat(op, 'scale', scale);
  for (const [name, t] of [
    ['scale', scale],
    ['zeroPoint', zeroPoint],
  ] as const) {
    if (t !== null && numel(t.shape) !== count) {
      throw new AoError(
        'ERR_AO_SHAPE',
        `${name} has shape [${t.shape}], the blocks of [${blockSize}] in [${input.shape}] need [${grid}]`,
        {
          op,
          fix: 'use the blockSize that the scale was chosen with',
        },
      );
    }
  }
  if (zeroPoint === null) return;
  if (floatZero ? zeroPoint.dtype.category !== 'float' : zeroPoint.dtype.category === 'bool') {
    throw new AoError(
      'ERR_AO_DTYPE',
      `zeroPoint is ${zeroPoint.dtype.name}, it needs ${floatZero ? 'a float' : 'a number'}`,
      {
        op,
        fix: floatZero ? 'for integer zero points use the affine form of this op' : 'cast it to int32',
      },
    );
  }
}
