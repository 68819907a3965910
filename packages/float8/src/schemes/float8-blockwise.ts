// Blockwise float8 as DeepSeek-V3 trains (torchao's Float8BlockwiseLinear): e4m3; activations and gradients have a scale for 1 x 128 values
// along the dimension that is summed over, the weight one for 128 x 128, in both products that read it.
import { cast, div, float8_e4m3fn, float32, mul, permute, reshape, type Tensor } from '@ao/core';
import { toFloat8 } from '../ops/to-float8.ts';
import { schemeOf, type TrainingScheme } from '../training-linear.ts';
import { productsOf } from './products.ts';
import { requireMultiple } from './require-multiple.ts';

export const BLOCKWISE = 128;

export interface Float8BlockwiseLinearConfig {
  readonly type: 'Float8BlockwiseLinearConfig';
}

export const float8BlockwiseLinear = (): Float8BlockwiseLinearConfig => ({ type: 'Float8BlockwiseLinearConfig' });

/** Values that share a scale are a row: [blocks, values] rounded to float8 and decoded, float32; the decoding multiplies by 1 / s. */
function rounded(blocks: Tensor): Tensor {
  const [codes, scale] = toFloat8(blocks, float8_e4m3fn, 'rows', false);
  return mul(cast(codes, float32), div(1, scale));
}

const vectors = (rows: Tensor): Tensor => reshape(rounded(reshape(rows, [-1, BLOCKWISE])), rows.shape);

function squares(w: Tensor): Tensor {
  const [n, k] = w.shape.map((size) => size / BLOCKWISE) as [number, number];
  const tiles = permute(reshape(w, [n, BLOCKWISE, k, BLOCKWISE]), [0, 2, 1, 3]);
  const values = reshape(rounded(reshape(tiles, [n * k, BLOCKWISE * BLOCKWISE])), [n, k, BLOCKWISE, BLOCKWISE]);
  return reshape(permute(values, [0, 2, 1, 3]), w.shape);
}

export const float8BlockwiseScheme = (): TrainingScheme =>
  schemeOf({
    ...productsOf((rows, operand) => (operand === 'weight' ? squares(rows) : vectors(rows)), float32),
    requireRows: (rows) => requireMultiple('float8_blockwise_linear', rows, BLOCKWISE),
  });
