// One step of Adam or AdamW on one parameter, moments in floats or in codes. With t = step + 1, float32 math:
//   decoupled: p -= lr wd p;   else g += wd p
//   m += (1 - beta1) (g - m);   v += (1 - beta2) (g^2 - v);   amsgrad: x = max(x, v), which then stands for v
//   p -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
// p takes the fresh m and v; what is stored of them is rounded to their dtype, or to codes by blocks (torchao.optim):
//   uint8 and a map of 256 or 16 ascending values: scale = max(|block|, 1e-12), nearest value of x / scale; 16: two codes a
//   byte, the first in the high half;   float8_e4m3fn: scale = max(|block|, 1e-12) / 448, code of x / scale
import type { DType } from '../../dtype.ts';
import { bfloat16, float8_e4m3fn, float32, int32, uint8 } from '../../dtypes/index.ts';
import { AoError } from '../../errors.ts';
import { defineOp } from '../../op.ts';
import { isDense, type Tensor } from '../../tensor.ts';
import { requireDtype, requireFloat, requireShape, shapeError } from '../checks.ts';

export interface AdamOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** Weight decay acts on the parameter (AdamW), not on the gradient. */
  readonly decoupled: boolean;
}

/** A moment: floats of the parameter's shape, or codes with a scale a block; `qmap` says what uint8 codes stand for. */
export interface AdamMoment {
  readonly codes: Tensor;
  readonly scale?: Tensor | undefined;
  readonly qmap?: Tensor | undefined;
}

export interface AdamState {
  readonly expAvg: AdamMoment;
  readonly expAvgSq: AdamMoment;
  /** amsgrad. */
  readonly maxExpAvgSq?: AdamMoment | undefined;
  /** float32 of one element: the steps made, which the call raises by one. */
  readonly step: Tensor;
}

type Maybe = Tensor | undefined;

const NAMES = ['expAvg', 'expAvgSq', 'maxExpAvgSq'] as const;

/** How the codes of a moment are stored: elements a byte or float holds, and the dtype of what holds them. */
function checkMoment(op: string, name: string, param: Tensor, codes: Tensor, scale: Maybe, qmap: Maybe): void {
  if (scale === undefined) {
    requireDtype(op, name, codes, [param.dtype]);
    requireShape(op, name, codes, param.shape);
    return;
  }
  requireDtype(op, `${name}.codes`, codes, [uint8, float8_e4m3fn]);
  requireDtype(op, `${name}.scale`, scale, [float32]);
  const values = qmap?.numel ?? 0;
  if (codes.dtype === uint8 && values !== 256 && values !== 16)
    throw shapeError(op, `${name}.qmap has ${values} values; uint8 codes need 256, or 16`, 'give the map of the state');
  const each = values === 16 ? 2 : 1;
  const block = param.numel / scale.numel;
  if (codes.numel * each !== param.numel || !Number.isInteger(block) || block % each !== 0)
    throw shapeError(
      op,
      `${name} has ${codes.numel} codes and ${scale.numel} scales, param ${param.numel} values`,
      `make the state for a parameter of shape [${param.shape}]`,
    );
}

const plain = (t: Tensor): boolean => isDense(t) && t.contiguous;

export function checkScalar(op: string, name: string, t: Tensor, dtype: DType): void {
  requireDtype(op, name, t, [dtype]);
  if (t.numel !== 1) throw shapeError(op, `${name} has shape [${t.shape}], it needs one element`, 'give one number');
}

/** Throws ERR_AO_SHAPE for tensors that are written but are views with gaps. */
export function checkWritten(op: string, tensors: Readonly<Record<string, Maybe>>): void {
  for (const [name, t] of Object.entries(tensors)) {
    if (t !== undefined && !plain(t))
      throw shapeError(op, `${name} is written in place: it must be dense and contiguous`, `clone(${name})`);
  }
}

export const fusedAdamOp = /*@__PURE__*/ defineOp<
  [
    param: Tensor,
    grad: Tensor,
    expAvg: Tensor,
    expAvgSq: Tensor,
    maxExpAvgSq: Maybe,
    expAvgScale: Maybe,
    expAvgSqScale: Maybe,
    maxExpAvgSqScale: Maybe,
    signedMap: Maybe,
    unsignedMap: Maybe,
    step: Tensor,
    lr: Tensor,
    rng: Maybe,
    options: AdamOptions,
  ]
>('fused_adam_', {
  mutates: [0, 2, 3, 4, 5, 6, 7, 10, 12],
  meta(param, grad, m, v, max, mScale, vScale, maxScale, signedMap, unsignedMap, step, lr, rng, options) {
    const op = 'fused_adam_';
    requireFloat(op, 'param', param);
    requireDtype(op, 'grad', grad, [param.dtype]);
    requireShape(op, 'grad', grad, param.shape);
    const moments = [
      [m, mScale, signedMap],
      [v, vScale, unsignedMap],
      [max, maxScale, unsignedMap],
    ] as const;
    for (const [i, [codes, scale, qmap]] of moments.entries()) {
      if (codes === undefined) continue;
      checkMoment(op, NAMES[i]!, param, codes, scale, qmap);
      if (codes.dtype !== m.dtype || scale?.numel !== mScale?.numel)
        throw shapeError(op, `${NAMES[i]} is stored in another way than expAvg`, 'make both for one optimizer');
    }
    checkScalar(op, 'step', step, float32);
    checkScalar(op, 'lr', lr, float32);
    if (rng !== undefined) {
      requireDtype(op, 'param', param, [bfloat16]);
      requireDtype(op, 'rng', rng, [int32]);
      requireShape(op, 'rng', rng, [2]);
    }
    checkWritten(op, { param, m, v, max, mScale, vScale, maxScale, step, rng });
    const { beta1, beta2, eps, weightDecay } = options;
    if (!(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1 && eps >= 0 && Number.isFinite(eps + weightDecay)))
      throw new AoError('ERR_AO_CONFIG', `beta1 ${beta1}, beta2 ${beta2}, eps ${eps}, weightDecay ${weightDecay}`, {
        op,
        fix: 'betas in [0, 1), eps >= 0, all finite',
      });
    return { shape: param.shape, dtype: param.dtype };
  },
});

/**
 * Steps `param` (float32, bfloat16 or float16) in place with the gradient `grad` and the rate `lr` (float32, one element), and the state with it.
 * With `rng`, an int32 [2] of {seed, call} (call goes up by one), a bfloat16 parameter is rounded at random: away from zero with the
 * chance that the low 16 bits say; element i takes 16 bits of Philox(seed, i >> 3, call): half i & 1 of word (i >> 1) & 3.
 */
export function fusedAdam_(
  param: Tensor,
  grad: Tensor,
  { expAvg: m, expAvgSq: v, maxExpAvgSq: max, step }: AdamState,
  lr: Tensor,
  options: AdamOptions,
  rng?: Tensor,
): Tensor {
  const scales = [m.scale, v.scale, max?.scale] as const;
  return fusedAdamOp(param, grad, m.codes, v.codes, max?.codes, ...scales, m.qmap, v.qmap, step, lr, rng, options);
}
