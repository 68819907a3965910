// eXmY by rows, as torchao's quant_primitives: scale = max(amax, 1e-12) / largest value of eXmY, in x's dtype;
// q = code of x / scale; x' = value of q * scale.
import type { DType } from '../../dtype.ts';
import { float32, uint8 } from '../../dtypes/index.ts';
import { defineOp } from '../../op.ts';
import type { Tensor } from '../../tensor.ts';
import { div, maximum, mul } from '../binary.ts';
import { requireDtype, requireFloat, requireNdim, requireShape } from '../checks.ts';
import { cast } from '../copy.ts';
import { amax } from '../reduce.ts';
import { abs } from '../unary.ts';
import { unsqueeze } from '../views.ts';
import { f32ToFloatxUnpacked, floatxFacts, floatxUnpackedToF32 } from './exmy.ts';

/** Scales [N] of the rows of x [N, K], in x's dtype. */
export const chooseQparamsAffineFloatx = /*@__PURE__*/ defineOp<[x: Tensor, ebits: number, mbits: number]>(
  'choose_qparams_affine_floatx',
  {
    meta(x, ebits, mbits) {
      requireFloat('choose_qparams_affine_floatx', 'x', x);
      requireNdim('choose_qparams_affine_floatx', 'x', x, 2);
      floatxFacts(ebits, mbits);
      return { shape: [x.shape[0] as number], dtype: x.dtype };
    },
    decompose: (x, ebits, mbits) =>
      cast(div(maximum(amax(abs(cast(x, float32)), 1), 1e-12), floatxFacts(ebits, mbits).max), x.dtype),
  },
);

/** Codes of x [N, K] in uint8 by row scales [N]. */
export const quantizeAffineFloatx = /*@__PURE__*/ defineOp<[x: Tensor, scale: Tensor, ebits: number, mbits: number]>(
  'quantize_affine_floatx',
  {
    meta(x, scale, ebits, mbits) {
      requireFloat('quantize_affine_floatx', 'x', x);
      requireNdim('quantize_affine_floatx', 'x', x, 2);
      requireShape('quantize_affine_floatx', 'scale', scale, [x.shape[0] as number]);
      floatxFacts(ebits, mbits);
      return { shape: x.shape, dtype: uint8 };
    },
    decompose: (x, scale, ebits, mbits) =>
      f32ToFloatxUnpacked(div(cast(x, float32), unsqueeze(cast(scale, float32), 1)), ebits, mbits),
  },
);

/** Values of codes [N, K] by row scales [N], in `outputDtype` (float32 unless given). */
export const dequantizeAffineFloatx = /*@__PURE__*/ defineOp<
  [q: Tensor, scale: Tensor, ebits: number, mbits: number, outputDtype?: DType]
>('dequantize_affine_floatx', {
  meta(q, scale, ebits, mbits, outputDtype = float32) {
    requireDtype('dequantize_affine_floatx', 'q', q, [uint8]);
    requireNdim('dequantize_affine_floatx', 'q', q, 2);
    requireShape('dequantize_affine_floatx', 'scale', scale, [q.shape[0] as number]);
    floatxFacts(ebits, mbits);
    return { shape: q.shape, dtype: outputDtype };
  },
  decompose: (q, scale, ebits, mbits, outputDtype = float32) =>
    cast(mul(floatxUnpackedToF32(q, ebits, mbits), unsqueeze(cast(scale, float32), 1)), outputDtype),
});
