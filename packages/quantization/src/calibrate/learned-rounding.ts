// A weight's rounding as something to learn (AutoRound's formula): an offset V of each value before it is rounded, and factors a, b of
// each group's range. x [N, K / g, g] are the weight's groups, low <= 0 <= high their ranges, s0 and z0 the scheme's own scale and zero
// point, q in qmin .. qmax:
//   s = s0 (b high - a low) / (high - low),  q = clamp(round(x / s + V) + z),  w' = (q - z) s,  z = z0 + round(low / s0 - a low / s)
// Without a zero point s = s0 b, z = 0; with one in values  q = clamp(round((x - z) / s + V)),  w' = q s + z,  z = z0 + (a - 1) low
// + qmin (s0 - s). V = 0, a = b = 1 is the scheme's own rounding. Rounding passes gradients as they are.
import {
  add,
  amax,
  amin,
  cast,
  cat,
  clamp,
  clone,
  copy_,
  type Dense,
  type DType,
  div,
  eq,
  float32,
  keep,
  maximum,
  minimum,
  mul,
  ones,
  reciprocal,
  reshape,
  round,
  scope,
  sign,
  slice,
  sub,
  type Tensor,
  tensor,
  where,
  zeros,
} from '@ao/core';
import { detach, noGrad, zeroGrad } from '@ao/core/autograd';
import { configError } from '../config/field.ts';
import type { CalibratedWeight } from './algorithm.ts';
import { Grid } from './grid.ts';

/** A range shrinks to this share of itself at most. */
const SMALLEST_RANGE = 0.1;

interface Fixed {
  readonly x: Tensor;
  readonly low: Tensor;
  readonly high: Tensor;
  readonly scale: Tensor;
  readonly zero: Tensor;
}

interface Learned {
  /** [N, K / g, g], in -0.5 .. 0.5. */
  readonly offset: Tensor;
  /** [N, K / g, 1]; a and b above. */
  readonly low: Tensor;
  readonly high: Tensor;
}

/** round(x) whose gradient is x's; x + (round(x) - x) is exact. */
const roundThrough = (x: Tensor): Tensor =>
  add(
    x,
    noGrad(() => sub(round(x), x)),
  );

export class LearnedRounding {
  readonly #weight: CalibratedWeight;
  readonly #nearest: Tensor;
  readonly #grid: Grid;
  readonly #scaleDtype: DType;
  readonly #fixed: Fixed;
  readonly #now: Learned;
  readonly #best: Learned;

  private constructor(weight: CalibratedWeight, nearest: Tensor, grid: Grid) {
    this.#weight = weight;
    this.#nearest = nearest;
    this.#grid = grid;
    this.#scaleDtype = weight.weight.dtype;
    this.#fixed = held(scope(() => fixedOf(weight.weight, grid)));
    const { x, scale } = this.#fixed;
    const start = (): Learned =>
      held(
        scope(() => ({
          offset: zeros(x.rt, x.shape, x),
          low: ones(x.rt, scale.shape, scale),
          high: ones(x.rt, scale.shape, scale),
        })),
      );
    [this.#now, this.#best] = [start(), start()];
    for (const t of Object.values(this.#now) as Tensor[]) t.requiresGrad = true;
  }

  /** Throws ERR_AO_CONFIG where the scheme's codes are no evenly spaced integers. */
  static async of(weight: CalibratedWeight): Promise<LearnedRounding> {
    const { fqn, plan } = weight;
    const nearest = scope(() => plan.quantize(weight.weight));
    const grid = await Grid.of(nearest, plan.bits, fqn);
    if (grid.format.table === undefined) return new LearnedRounding(weight, nearest, grid);
    nearest.dispose();
    throw configError(
      `autoround: ${fqn} would get ${plan.scheme}, whose codes stand for a table of values`,
      'use an integer scheme, e.g. int4WeightOnly() or intxWeightOnly()',
    );
  }

  /** The rounded weight [N, K] in its dtype; recorded. */
  values(): Tensor {
    const { shape, dtype } = this.#weight.weight;
    const { codes, scale, zero } = this.#quantized(this.#now);
    const { zeroDomain } = this.#grid.format;
    const values = zeroDomain === 'float' ? add(mul(codes, scale), zero) : mul(this.#shifted(codes, zero), scale);
    return cast(ungrouped(values, shape as [number, number]), dtype);
  }

  /** p <- p - rate sign(gradient), kept in its bounds; gradients are forgotten. */
  step_(rate: number, rangeRate: number): void {
    const { offset, low, high } = this.#now;
    const move = (p: Tensor, by: number, least: number, most: number): void => {
      if (p.grad !== null) copy_(p, clamp(sub(p, mul(sign(p.grad), by)), least, most));
    };
    noGrad(() =>
      scope(() => {
        move(offset, rate, -0.5, 0.5);
        move(low, rangeRate, SMALLEST_RANGE, 1);
        move(high, rangeRate, SMALLEST_RANGE, 1);
      }),
    );
    zeroGrad([offset, low, high]);
  }

  /** Remembers what is learned so far. */
  keepBest(): void {
    noGrad(() => {
      for (const part of ['offset', 'low', 'high'] as const) copy_(this.#best[part], this.#now[part]);
    });
  }

  /** The quantized weight as it was best. */
  async assemble(): Promise<Tensor> {
    const { codes, scale, zero } = noGrad(() => scope(() => this.#codes()));
    const grid = this.#grid;
    grid.scale.set(Float32Array.from(await scale.data()));
    grid.zero?.set(Float32Array.from(await zero.data()));
    const made = grid.assemble(this.#nearest, Int8Array.from(await codes.data()));
    for (const t of [codes, scale, zero]) t.dispose();
    return made;
  }

  dispose(): void {
    for (const t of [this.#fixed, this.#now, this.#best].flatMap((o) => Object.values(o) as Tensor[])) t.dispose();
  }

  #codes(): { codes: Tensor; scale: Tensor; zero: Tensor } {
    const { codes, scale, zero } = this.#quantized(this.#best);
    const { N, K } = this.#grid.format;
    return { codes: clone(ungrouped(codes, [N, K])), scale: clone(scale), zero: clone(zero) };
  }

  #shifted(codes: Tensor, zero: Tensor): Tensor {
    return this.#grid.format.zeroDomain === 'int' ? sub(codes, zero) : codes;
  }

  #quantized({ offset, low: a, high: b }: Learned): { codes: Tensor; scale: Tensor; zero: Tensor } {
    const { x, low, high, scale: s0, zero: z0 } = this.#fixed;
    const { zeroDomain } = this.#grid.format;
    const least = -(2 ** (this.#grid.bits - 1));
    const most = -least - 1;
    const stored = (t: Tensor): Tensor => cast(cast(t, this.#scaleDtype), float32);
    if (zeroDomain === 'none') {
      const scale = stored(mul(s0, b));
      return { codes: clamp(roundThrough(add(mul(x, reciprocal(scale)), offset)), least, most), scale, zero: z0 };
    }
    const start = mul(low, a);
    const scale = stored(
      mul(
        s0,
        div(
          sub(mul(high, b), start),
          noGrad(() => spanOf(low, high)),
        ),
      ),
    );
    if (zeroDomain === 'int') {
      const zero = clamp(add(z0, roundThrough(sub(div(low, s0), div(start, scale)))), least, most);
      return {
        codes: clamp(add(roundThrough(add(mul(x, reciprocal(scale)), offset)), zero), least, most),
        scale,
        zero,
      };
    }
    const zero = stored(add(add(z0, sub(start, low)), mul(sub(s0, scale), least)));
    return { codes: clamp(roundThrough(add(div(sub(x, zero), scale), offset)), least, most), scale, zero };
  }
}

const spanOf = (low: Tensor, high: Tensor): Tensor => {
  const span = sub(high, low);
  return where(eq(span, 0), 1, span);
};

function held<T extends object>(tensors: T): T {
  for (const t of Object.values(tensors) as Tensor[]) keep(t).guard();
  return tensors;
}

function fixedOf(weight: Dense, grid: Grid): Fixed {
  const { N, K, groupSize } = grid.format;
  const { rt, device } = weight;
  const { groups } = grid;
  const values = cast(detach(weight), float32);
  const missing = groups * groupSize - K;
  const whole = missing === 0 ? values : cat([values, zeros(rt, [N, missing], { dtype: float32, device })], 1);
  const x = clone(reshape(whole, [N, groups, groupSize]));
  const each = (v: Float32Array): Tensor => tensor(rt, v, { shape: [N, groups, 1], device });
  return {
    x,
    low: minimum(amin(x, 2, true), 0),
    high: maximum(amax(x, 2, true), 0),
    // a group of zeros may have no scale
    scale: each(grid.scale.map((s) => (s === 0 ? 1 : s))),
    zero: each(grid.zero ?? new Float32Array(N * groups)),
  };
}

/** [N, K / g, g] -> [N, K], without what filled the last group up. */
function ungrouped(x: Tensor, [N, K]: readonly [number, number]): Tensor {
  const flat = reshape(x, [N, -1]);
  return flat.shape[1] === K ? flat : slice(flat, 1, 0, K);
}
