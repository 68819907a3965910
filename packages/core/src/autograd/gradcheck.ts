// Finite differences against the gradients that rules give, at float64 on the reference backend.
import { tensor } from '../create.ts';
import { float64 } from '../dtypes/index.ts';
import { AoError } from '../errors.ts';
import { add, mul } from '../ops/binary.ts';
import { sum } from '../ops/reduce.ts';
import { scope } from '../scope.ts';
import type { Tensor } from '../tensor.ts';
import { grad } from './backward.ts';
import { noGrad } from './grad-mode.ts';

export interface GradcheckOptions {
  /** Step of the central difference; default 1e-5. */
  readonly eps?: number;
  /** |analytic - numeric| <= atol + rtol * |numeric|; defaults 1e-7 and 1e-6. */
  readonly atol?: number;
  readonly rtol?: number;
  /** At most so many elements of each input, evenly spread; default all. */
  readonly elements?: number;
}

export interface GradcheckReport {
  /** Elements compared. */
  readonly checked: number;
  /** Largest |analytic - numeric| / max(1, |numeric|). */
  readonly worst: number;
}

type Outputs = Tensor | readonly Tensor[];

/** One number that depends on every float output, each element with a weight of its own. */
function weighted(out: Outputs): Tensor {
  const outs = (Array.isArray(out) ? out : [out]) as Tensor[];
  const parts = outs
    .filter((t) => t.dtype.category === 'float')
    .map((t, k) => {
      const weights = Float64Array.from({ length: t.numel }, (_, i) => Math.cos(1.7 * i + k + 0.3));
      return sum(mul(t, tensor(t.rt, weights, { shape: t.shape, dtype: float64, device: t.device })));
    });
  return parts.reduce((a, b) => add(a, b));
}

/**
 * torch.autograd.gradcheck: compares the gradients of fn(...inputs) by each float64 input with central differences of fourth order. Throws
 * ERR_AO_STREAM naming the input and element that differ most. fn has no side effects; other dtypes are constants.
 */
export function gradcheck(
  fn: (...inputs: Tensor[]) => Outputs,
  inputs: readonly Tensor[],
  options: GradcheckOptions = {},
): GradcheckReport {
  const { eps = 1e-5, atol = 1e-7, rtol = 1e-6, elements = Number.POSITIVE_INFINITY } = options;
  const leaves = inputs.filter((t) => t.dtype === float64);
  for (const t of leaves) t.requiresGrad = true;
  const analytic = scope(() => grad(weighted(fn(...inputs)), leaves).map((g) => g?.dataSync()));
  const at = (leaf: Tensor, values: Float64Array): number =>
    noGrad(() =>
      scope(() => {
        const moved = tensor(leaf.rt, values, { shape: leaf.shape, dtype: float64, device: leaf.device });
        return weighted(fn(...inputs.map((t) => (t === leaf ? moved : t)))).itemSync();
      }),
    );
  let worst = 0;
  let checked = 0;
  for (const [k, leaf] of leaves.entries()) {
    const values = Float64Array.from(leaf.dataSync());
    const stride = Math.max(1, Math.ceil(values.length / elements));
    for (let i = 0; i < values.length; i += stride, checked++) {
      const x = values[i]!;
      const [near, far] = [1, 2].map((k) => {
        values[i] = x + k * eps;
        const high = at(leaf, values);
        values[i] = x - k * eps;
        return high - at(leaf, values);
      }) as [number, number];
      values[i] = x;
      const numeric = (8 * near - far) / (12 * eps);
      const got = analytic[k]?.[i] ?? 0;
      const error = Math.abs(got - numeric);
      worst = Math.max(worst, error / Math.max(1, Math.abs(numeric)));
      if (error <= atol + rtol * Math.abs(numeric)) continue;
      throw new AoError(
        'ERR_AO_STREAM',
        `gradient ${got} where finite differences give ${numeric}: input ${k}, element ${i}`,
        {
          op: 'gradcheck',
          fix: "mend the op's vjp; at a kink of the function move the input",
        },
      );
    }
  }
  return { checked, worst };
}
