// SmoothQuant (Xiao et al. 2022, arXiv 2211.10438): what is hard to round moves from activations into weights. Per column
//   s = (max |x| + eps)^alpha / (max |w| + eps)^(1 - alpha);   W s meets x / s
// over running ranges, so that data is never kept. A static base (int8StaticActivationInt8Weight without scales) gets the scale of
// its activation from the range of x / s, found in a second pass.
import type { Dense, Tensor } from '@ao/core';
import type { AoConfig } from '../config/config.ts';
import { configError } from '../config/field.ts';
import type { Int8StaticActivationInt8WeightConfig } from '../config/int8-static-activation-int8-weight.ts';
import { planTensor } from '../quantize/preflight.ts';
import { isProblem } from '../quantize/trait.ts';
import { baseAlgorithm, type CalibrationAlgorithm, isAlgorithm, type RoundTask, type ScaleTask } from './algorithm.ts';
import { valuesOfWeight } from './fold.ts';
import type { ObservedInput } from './statistics.ts';

export interface SmoothQuantOptions {
  /** How much moves: 0 nothing of the activation, 1 all of it. Default 0.5; null: no smoothing, only static scales. */
  readonly alpha?: number | null;
}

const EPS = 2 ** -23;
const { fround } = Math;

/** SmoothQuant before `base`: a config, dynamic or static, or another algorithm. */
export function smoothQuant(
  base: AoConfig | CalibrationAlgorithm,
  options: SmoothQuantOptions = {},
): CalibrationAlgorithm {
  const { alpha = 0.5 } = options;
  if (alpha !== null && !(alpha >= 0 && alpha <= 1)) {
    throw configError(`smoothQuant: alpha is ${alpha}`, 'give a number from 0 to 1, or null for no smoothing');
  }
  const inner = staticBase(base) ?? baseAlgorithm(base);
  return {
    ...inner,
    name: inner.name === 'rtn' ? 'smoothquant' : `smoothquant+${inner.name}`,
    ...(alpha !== null && { scale: (task: ScaleTask) => smoothing(task, alpha) }),
  };
}

async function smoothing({ weights, input, shared }: ScaleTask, alpha: number): Promise<Float64Array> {
  const peaks = input.high.map((h, c) => Math.max(h, -(input.low[c] as number)));
  const weightPeaks = new Float64Array(peaks.length);
  for (const { weight } of weights) {
    const values = await valuesOfWeight(weight);
    for (let i = 0; i < values.length; i++) {
      const c = i % peaks.length;
      weightPeaks[c] = Math.max(weightPeaks[c] as number, Math.abs(values[i] as number));
    }
  }
  if (shared !== undefined) for (const v of [peaks, weightPeaks]) largestOfEqual(v, shared);
  return peaks.map((x, c) => {
    const w = weightPeaks[c] as number;
    return fround(fround(fround(x + EPS) ** alpha) / fround(fround(w + EPS) ** (1 - alpha)));
  });
}

/** Each column gets the largest value of those that must share a scale. */
function largestOfEqual(values: Float64Array, shared: Int32Array): void {
  const most = new Map<number, number>();
  for (const [c, id] of shared.entries()) most.set(id, Math.max(most.get(id) ?? 0, values[c] as number));
  for (const [c, id] of shared.entries()) values[c] = most.get(id) as number;
}

/** A static config whose activation scales are not known yet, as an algorithm that finds them. */
function staticBase(base: AoConfig | CalibrationAlgorithm): CalibrationAlgorithm | undefined {
  const config = base as Int8StaticActivationInt8WeightConfig;
  if (isAlgorithm(base) || base.type !== 'Int8StaticActivationInt8WeightConfig' || config.actQuantScale !== null) {
    return undefined;
  }
  return {
    name: 'rtn',
    // any scale, so that the scheme can be planned before data is seen
    config: { ...config, ...activationScale(config, 1, 0) } as AoConfig,
    files: base,
    roundNeeds: 'range',
    round: async ({ weight, input, fqn }: RoundTask): Promise<Tensor> => {
      const found = { ...config, ...activationOf(config, input as ObservedInput) };
      const plan = planTensor(weight.rt, found as AoConfig, { shape: weight.shape, dtype: weight.dtype.name });
      if (isProblem(plan)) throw configError(`${fqn}: ${plan.problem}`, plan.fix);
      return plan.quantize(weight as Dense);
    },
  };
}

type Static = Pick<Int8StaticActivationInt8WeightConfig, 'actQuantScale' | 'actQuantZeroPoint'>;

const activationScale = (_: Int8StaticActivationInt8WeightConfig, scale: number, zero: number): Static => ({
  actQuantScale: [[scale]],
  actQuantZeroPoint: [[zero]],
});

/** torchao's choose_qparams_affine over the whole range of the input, in int8. */
function activationOf(config: Int8StaticActivationInt8WeightConfig, { low, high }: ObservedInput): Static {
  const least = Math.min(0, ...low);
  const most = Math.max(0, ...high);
  const [qmin, qmax] = config.reduceRange ? [-64, 63] : [-128, 127];
  if (config.actMappingType === 'SYMMETRIC') {
    return activationScale(config, Math.max(fround(Math.max(most, -least) / ((qmax - qmin) / 2)), EPS), 0);
  }
  const scale = Math.max(fround(fround(most - least) / (qmax - qmin)), EPS);
  const zero = Math.min(qmax, Math.max(qmin, qmin - Math.round(fround(least / scale))));
  return activationScale(config, scale, zero);
}
