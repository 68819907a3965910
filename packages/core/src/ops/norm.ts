// Normalisation over the last dimension, computed in float32 and rounded where PyTorch rounds.
import { defineOp } from '../op.ts';
import type { Tensor } from '../tensor.ts';
import { requireFloat, requireSameDtype, requireShape } from './checks.ts';

/**
 * w * round(x * rsqrt(mean(x^2) + eps)): x [..., D], w [D]; the product with w is rounded again, as in LlamaRMSNorm. With an
 * offset (offset + w) * x * rsqrt(...), rounded once, as in Gemma's, whose offset is 1.
 */
export const rmsNorm = /*@__PURE__*/ defineOp<[x: Tensor, w: Tensor, eps: number, offset?: number]>('rms_norm', {
  meta(x, w) {
    requireFloat('rms_norm', 'x', x);
    requireSameDtype('rms_norm', ['x', x], ['w', w]);
    requireShape('rms_norm', 'w', w, [x.shape[x.ndim - 1] ?? 1]);
    return { shape: x.shape, dtype: x.dtype };
  },
});

/** (x - mean) * rsqrt(var + eps) * w + b: x [..., D], w and b [D]. */
export const layerNorm = /*@__PURE__*/ defineOp<[x: Tensor, w: Tensor, b: Tensor, eps: number]>('layer_norm', {
  meta(x, w, b) {
    requireFloat('layer_norm', 'x', x);
    for (const [name, t] of [
      ['w', w],
      ['b', b],
    ] as const) {
      requireSameDtype('layer_norm', ['x', x], [name, t]);
      requireShape('layer_norm', name, t, [x.shape[x.ndim - 1] ?? 1]);
    }
    return { shape: x.shape, dtype: x.dtype };
  },
});

/** silu(gate) * up, elementwise; silu is rounded to the dtype first, as separate ops would. */
export const siluMul = /*@__PURE__*/ defineOp<[gate: Tensor, up: Tensor]>('silu_mul', {
  meta(gate, up) {
    requireFloat('silu_mul', 'gate', gate);
    requireSameDtype('silu_mul', ['gate', gate], ['up', up]);
    requireShape('silu_mul', 'up', up, gate.shape);
    return { shape: gate.shape, dtype: gate.dtype };
  },
});
