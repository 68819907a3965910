// The three products of a linear from one way of rounding an operand along the dimension that is summed over.
import { cast, type DType, permute, type Tensor } from '@ao/core';
import { type Gemm, innerDims, plainMm } from '../ops/products.ts';
import type { Products } from '../training-linear.ts';

export type Operand = 'input' | 'weight' | 'gradOutput';

/** Values of a matrix rounded in blocks of its rows, along which the product sums; as it came in where the operand stays as it is. */
export type RoundRows = (rows: Tensor, operand: Operand, gemm: Gemm) => Tensor;

const turned = (t: Tensor): Tensor => permute(t, [1, 0]);

/** t with `round` along dimension `dim`. */
export const alongDim = (t: Tensor, dim: number, round: (rows: Tensor) => Tensor): Tensor =>
  dim === 1 ? round(t) : turned(round(turned(t)));

/** Products of the rounded values, summed in float32 and given in the input's dtype; `sumIn`: dtype of the values that meet. */
export function productsOf(round: RoundRows, sumIn?: DType): Products {
  const product = (gemm: Gemm, [a, left]: [Tensor, Operand], [b, right]: [Tensor, Operand]): Tensor => {
    const [i, j] = innerDims(gemm);
    const to = sumIn ?? a.dtype;
    const x = alongDim(a, i, (rows) => cast(round(rows, left, gemm), to));
    const y = alongDim(b, j, (rows) => cast(round(rows, right, gemm), to));
    return cast(plainMm(x, y, gemm), a.dtype);
  };
  return {
    output: (x, w) => product('output', [x, 'input'], [w, 'weight']),
    gradInput: (g, w) => product('gradInput', [g, 'gradOutput'], [w, 'weight']),
    gradWeight: (g, x) => product('gradWeight', [g, 'gradOutput'], [x, 'input']),
  };
}
