// The three matrix products of a linear on float8 operands, which a backend with float8 tensor cores takes over; elsewhere the operands
// are decoded, v = float32(q) / s, and the product sums in float32 (torchao's emulate=True).
import {
  AoError,
  cast,
  type DType,
  defineOp,
  div,
  float8_e4m3fn,
  float8_e5m2,
  float32,
  linear,
  type Tensor,
} from '@ao/core';
import { linearGradInput, linearGradWeight } from '@ao/core/autograd';

/** output: a [M, K] b [N, K] -> a b^T.  gradInput: a [M, N] b [N, K] -> a b.  gradWeight: a [M, N] b [M, K] -> a^T b. */
export type Gemm = 'output' | 'gradInput' | 'gradWeight';

export interface ScaledMmOptions {
  readonly gemm: Gemm;
  readonly outDtype: DType;
  readonly useFastAccum: boolean;
  /** Decodes on devices that could multiply float8. */
  readonly emulate: boolean;
}

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

/** Codes [R, C] and scales that broadcast to them -> float32 values q / s. */
export const fromFloat8 = /*@__PURE__*/ defineOp<[codes: Tensor, scale: Tensor]>('from_float8', {
  meta: (codes) => ({ shape: codes.shape, dtype: float32 }),
  decompose: (codes, scale) => div(cast(codes, float32), scale),
});

/** Codes a and b with scales that broadcast to them, [1, 1], [R, 1] or [1, C] -> a matrix in outDtype. */
export const scaledMm = /*@__PURE__*/ defineOp<
  [a: Tensor, aScale: Tensor, b: Tensor, bScale: Tensor, options: ScaledMmOptions]
>('scaled_mm', {
  meta(a, _aScale, b, _bScale, { gemm, outDtype }) {
    for (const t of [a, b]) {
      if (t.dtype === float8_e4m3fn || t.dtype === float8_e5m2) continue;
      throw new AoError('ERR_AO_DTYPE', `an operand is ${t.dtype.name}`, {
        op: 'scaled_mm',
        fix: 'cast it by toFloat8',
      });
    }
    const [i, j] = DIMS[gemm];
    if (a.ndim !== 2 || b.ndim !== 2 || a.shape[i] !== b.shape[j]) {
      throw new AoError('ERR_AO_SHAPE', `[${a.shape}] and [${b.shape}] do not multiply as ${gemm}`, {
        op: 'scaled_mm',
        fix: `dimension ${i} of a is dimension ${j} of b`,
      });
    }
    return { shape: [a.shape[1 - i]!, b.shape[1 - j]!], dtype: outDtype };
  },
  decompose: (a, aScale, b, bScale, { gemm, outDtype }) =>
    cast(PRODUCTS[gemm](fromFloat8(a, aScale), fromFloat8(b, bScale)), outDtype),
});
