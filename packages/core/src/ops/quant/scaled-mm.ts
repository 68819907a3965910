// The product of float8 codes with scales, torch's _scaled_mm: y = (a s_a) (b s_b)^T, or (a / s_a) (b / s_b)^T, with float32 sums. Devices
// with float8 tensor cores multiply the codes; elsewhere they are decoded first.
import type { DType } from '../../dtype.ts';
import { float8_e4m3fn, float8_e5m2, float32 } from '../../dtypes/index.ts';
import { defineOp } from '../../op.ts';
import type { Tensor } from '../../tensor.ts';
import { div, mul } from '../binary.ts';
import { requireDtype, requireNdim, shapeError } from '../checks.ts';
import { cast } from '../copy.ts';
import { linear } from '../matmul.ts';

export interface ScaledMmOptions {
  readonly outDtype: DType;
  /** Values are codes / scale. */
  readonly divides?: boolean;
  /** Sums of less precision on devices that have them. */
  readonly useFastAccum?: boolean;
  /** Decodes on devices that could multiply float8, too. */
  readonly emulate?: boolean;
}

/**
 * a [M, K], b [N, K] float8 codes, also views of [K, M] and [K, N]; scales float32, [1, 1] for all, or [M, 1] and [N, 1] -> [M, N] in
 * outDtype.
 */
export const scaledMm = /*@__PURE__*/ defineOp<
  [a: Tensor, aScale: Tensor, b: Tensor, bScale: Tensor, options: ScaledMmOptions]
>('scaled_mm', {
  meta(a, aScale, b, bScale, { outDtype }) {
    for (const [name, t, scale] of [
      ['a', a, aScale],
      ['b', b, bScale],
    ] as const) {
      requireDtype('scaled_mm', name, t, [float8_e4m3fn, float8_e5m2]);
      requireNdim('scaled_mm', name, t, 2);
      requireDtype('scaled_mm', `the scale of ${name}`, scale, [float32]);
      if (scale.ndim === 2 && scale.shape[1] === 1 && (scale.shape[0] === 1 || scale.shape[0] === t.shape[0])) continue;
      throw shapeError(
        'scaled_mm',
        `scale [${scale.shape}] does not fit ${name} [${t.shape}]`,
        `give [1, 1] or [${t.shape[0]}, 1]`,
      );
    }
    if (a.shape[1] !== b.shape[1]) {
      throw shapeError('scaled_mm', `[${a.shape}] and [${b.shape}] have different columns`, 'give [M, K] and [N, K]');
    }
    return { shape: [a.shape[0]!, b.shape[0]!], dtype: outDtype };
  },
  decompose(a, aScale, b, bScale, { outDtype, divides = false }) {
    const values = (codes: Tensor, scale: Tensor): Tensor => (divides ? div : mul)(cast(codes, float32), scale);
    return cast(linear(values(a, aScale), values(b, bScale)), outDtype);
  },
});
