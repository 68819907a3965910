// Range learning: scales (and zero points) of groups as parameters. With s >= 1e-9 and z rounded and clamped,
//   q = clamp(round(w * (1 / s)) + z, qmin, qmax),  w' = (q - z) s,   rounding passes gradients on
// They start from the weight: symmetric s = amax / ((qmax - qmin) / 2), asymmetric torchao's s = max(max - min, 1e-6) / (qmax - qmin) and
// z = round(min + s mid).
import {
  add,
  cast,
  chooseQparamsAffine,
  chooseQparamsAffineTinygemm,
  clamp,
  dtypeRange,
  float32,
  type Meta,
  maximum,
  mul,
  type QuantRange,
  reciprocal,
  reshape,
  round,
  sub,
  type Tensor,
} from '@ao/core';
import { configError, type IntxFakeQuantizeConfig } from '../config/fake-quantize.ts';
import { roundThrough } from './round.ts';

const SMALLEST_SCALE = 1e-9;

const groupOf = (w: Meta, { granularity }: IntxFakeQuantizeConfig): number =>
  granularity.type === 'PerGroup' ? granularity.groupSize : w.shape[1]!;

/** float32 [N, K / group], the zero point where the config is asymmetric. */
export function initialRange(w: Tensor, config: IntxFakeQuantizeConfig): { scale: Tensor; zero_point?: Tensor } {
  if (config.granularity.type === 'PerToken')
    throw configError('ranges of tokens are not learned', 'use groupSize or perAxis(0) for weights');
  const { quantMin, quantMax } = dtypeRange('qat', config.dtype);
  const block = [1, groupOf(w, config)];
  const options = { eps: config.eps ?? undefined, scaleDtype: float32, keepdim: true };
  if (config.mappingType !== 'ASYMMETRIC') {
    const range = { ...options, quantMin, quantMax };
    const [scale] = chooseQparamsAffine(w, config.mappingType, block, 'int8', range);
    return { scale: maximum(scale, SMALLEST_SCALE) };
  }
  const range = {
    ...options,
    eps: config.eps ?? 1e-6,
    zeroPointDtype: float32,
    quantMin: 0,
    quantMax: quantMax - quantMin,
  };
  const [scale, zero] = chooseQparamsAffineTinygemm(w, 'ASYMMETRIC', block, 'uint8', range);
  return { scale: maximum(scale, SMALLEST_SCALE), zero_point: clamp(round(zero), quantMin, quantMax) };
}

/** The zero point as codes shift by it. */
export const wholeZero = (zero: Tensor, { quantMin, quantMax }: QuantRange): Tensor =>
  clamp(roundThrough(zero), quantMin, quantMax);

/** w [N, K] rounded with learned scales; every step is differentiated. */
export function learnedFakeQuantize(
  w: Tensor,
  scale: Tensor,
  zero: Tensor | undefined,
  config: IntxFakeQuantizeConfig,
): Tensor {
  const range = dtypeRange('qat', config.dtype);
  const x = reshape(w, [w.shape[0]!, -1, groupOf(w, config)]);
  const s = reshape(maximum(scale, SMALLEST_SCALE), [...scale.shape, 1]);
  const rounded = roundThrough(mul(x, reciprocal(s)));
  if (zero === undefined) {
    const q = clamp(rounded, range.quantMin, range.quantMax);
    return cast(reshape(mul(q, s), [...w.shape]), w.dtype);
  }
  const z = reshape(wholeZero(zero, range), [...scale.shape, 1]);
  const q = clamp(add(rounded, z), range.quantMin, range.quantMax);
  return cast(reshape(mul(sub(q, z), s), [...w.shape]), w.dtype);
}
