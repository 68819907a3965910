// The three matrix products of a linear, by name, on operands as they are.
import { linear, type Tensor } from '@ao/core';
import { linearGradInput, linearGradWeight } from '@ao/core/autograd';

/** output: a [M, K] b [N, K] -> a b^T.  gradInput: a [M, N] b [N, K] -> a b.  gradWeight: a [M, N] b [M, K] -> a^T b. */
export type Gemm = 'output' | 'gradInput' | 'gradWeight';

/** Which dimensions of a and b are summed over, and which are kept. */
const DIMS: Readonly<Record<Gemm, readonly [innerA: number, innerB: number]>> = {
  output: [1, 1],
  gradInput: [1, 0],
  gradWeight: [0, 0],
};

export const innerDims = (gemm: Gemm): readonly [number, number] => DIMS[gemm];

const PRODUCTS: Readonly<Record<Gemm, (a: Tensor, b: Tensor) => Tensor>> = {
  output: (a, b) => linear(a, b),
  gradInput: (a, b) => linearGradInput(a, b),
  gradWeight: (a, b) => linearGradWeight(a, b),
};

/** The product of a and b as they are, in the larger of their dtypes. */
export const plainMm = (a: Tensor, b: Tensor, gemm: Gemm): Tensor => PRODUCTS[gemm](a, b);
