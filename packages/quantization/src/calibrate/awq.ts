// AWQ (Lin et al. 2023, arXiv 2306.00978): columns whose inputs are large get a finer grid. Of the scales s = m^r, m the mean
// magnitude of each column of x, r = 0, 1/n, .. (n - 1)/n, normalised by sqrt(max s min s), the one is taken whose outputs stray
// least: sum over the weights of |X W^T - (X / s) Q(W s)^T|^2 = tr(D G D^T) with D = W - Q(W s) / s and G = X^T X.
import { type Dense, dequantize, div, keep, matmul, mul, scope, sub, sum, type Tensor, tensor } from '@ao/core';
import type { AoConfig } from '../config/config.ts';
import { configError } from '../config/field.ts';
import type { Rules } from '../rules/rules.ts';
import { baseAlgorithm, type CalibratedWeight, type CalibrationAlgorithm, type ScaleTask } from './algorithm.ts';

export interface AwqOptions {
  /** Exponents that are tried. Default 20, torchao's scale_search_space_size. */
  readonly scaleSearchSpaceSize?: number;
}

const { fround } = Math;

/** AWQ before `base`: a config (rounded to nearest), or another algorithm such as gptq(config). */
export function awq(base: AoConfig | Rules | CalibrationAlgorithm, options: AwqOptions = {}): CalibrationAlgorithm {
  const { scaleSearchSpaceSize: size = 20 } = options;
  if (!(size >= 1)) throw configError(`awq: scaleSearchSpaceSize is ${size}`, 'give a whole number, e.g. 20');
  const inner = baseAlgorithm(base);
  return {
    ...inner,
    name: inner.name === 'rtn' ? 'awq' : `awq+${inner.name}`,
    scaleNeeds: 'gram',
    scale: (task) => search(task, size),
  };
}

async function search({ weights, input, shared }: ScaleTask, size: number): Promise<Float64Array | null> {
  const magnitude = alive(shared === undefined ? input.meanAbs : meanOfEqual(input.meanAbs, shared));
  const candidates = Array.from({ length: size }, (_, i) => scalesOf(magnitude, i / size));
  let best: Float64Array | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const s of candidates) {
    let loss = 0;
    for (const w of weights) loss += await lossOf(w, s, input.gram as Dense);
    if (loss < least) [best, least] = [s, loss];
  }
  return best;
}

/** Columns that the data never touched count as average ones: other data may touch them. */
function alive(magnitude: Float64Array): Float64Array {
  const mean = magnitude.reduce((a, b) => a + b) / magnitude.length;
  return magnitude.map((m) => (m === 0 ? mean : m));
}

/** The mean over the columns that must get one scale. */
function meanOfEqual(values: Float64Array, shared: Int32Array): Float64Array {
  const sums = new Map<number, [sum: number, count: number]>();
  for (const [c, id] of shared.entries()) {
    const [total, count] = sums.get(id) ?? [0, 0];
    sums.set(id, [total + (values[c] as number), count + 1]);
  }
  return values.map((_, c) => {
    const [total, count] = sums.get(shared[c] as number) as [number, number];
    return total / count;
  });
}

function scalesOf(magnitude: Float64Array, ratio: number): Float64Array {
  const powers = magnitude.map((m) => Math.max(fround(fround(m) ** fround(ratio)), fround(1e-4)));
  const [low, high] = [powers.reduce((a, b) => Math.min(a, b)), powers.reduce((a, b) => Math.max(a, b))];
  const norm = fround(Math.sqrt(fround(high * low)));
  return powers.map((p) => fround(p / norm));
}

async function lossOf({ weight, plan }: CalibratedWeight, s: Float64Array, gram: Dense): Promise<number> {
  const loss = scope(() => {
    const scale = tensor(weight.rt, Float32Array.from(s), { dtype: weight.dtype, device: weight.device });
    const back = div(dequantize(plan.quantize(mul(weight, scale) as Dense)), scale);
    const off = sub(weight, back);
    return keep(sum(sum(mul(matmul(off, gram), off), -1)) as Tensor);
  });
  const value = await loss.item();
  loss.dispose();
  return value;
}
