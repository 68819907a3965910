// NVFP4 training, emulated (torchao's NVFP4Linear, which needs Blackwell): all operands e2m1 in blocks of 16 along the dimension that is
// summed over, e4m3 scales under a float32 scale of the tensor; the weight has one for 16 x 16 values, in both products that read it.
// The operands of grad_weight pass a random Hadamard transform of 16 rows first (their product is the same, outliers are spread), and
// gradients are rounded at random, q = step floor(|v| / step + u) with the sign of v, so that their mean is right.
import {
  AoError,
  abs,
  add,
  amax,
  cast,
  clamp,
  type Dense,
  div,
  empty,
  eq,
  exponentOf,
  float8_e4m3fn,
  float32,
  floor,
  linear,
  lt,
  maximum,
  minimum,
  mul,
  permute,
  powerOfTwo,
  reshape,
  round,
  sub,
  type Tensor,
  tensor,
  where,
} from '@ao/core';
import { uniform_ } from '@ao/core/autograd';
import { schemeOf, type TrainingScheme } from '../training-linear.ts';
import { productsOf } from './products.ts';
import { requireMultiple } from './require-multiple.ts';

export const NVFP4_BLOCK = 16;
const [F4_MAX, F8_MAX, F8_TINY] = [6, 448, 2 ** -6];

export interface NVFP4TrainingConfig {
  readonly type: 'NVFP4TrainingConfig';
  /** 16 signs of the Hadamard transform. */
  readonly rhtSignVector: readonly number[];
  /** Seed of the rounding of gradients; null: to the nearest. */
  readonly seed: number | null;
}

const SIGNS = [1, -1, 1, 1, -1, -1, 1, -1, 1, 1, 1, -1, -1, 1, -1, -1];

/** Throws ERR_AO_CONFIG unless the signs are 16 of 1 and -1. */
export function nvfp4Training(options: Partial<Omit<NVFP4TrainingConfig, 'type'>> = {}): NVFP4TrainingConfig {
  const { rhtSignVector = SIGNS, seed = 0 } = options;
  if (rhtSignVector.length !== NVFP4_BLOCK || rhtSignVector.some((s) => s !== 1 && s !== -1)) {
    throw new AoError('ERR_AO_CONFIG', `rhtSignVector is [${rhtSignVector}]`, { fix: 'give 16 values of 1 and -1' });
  }
  return { type: 'NVFP4TrainingConfig', rhtSignVector, seed };
}

/** (diag(signs) H / 4)^T, H the Hadamard matrix of 16 rows (Sylvester's); orthogonal. float32 [16, 16], as linear takes a weight. */
export function hadamard({ rt, device }: Dense, signs: readonly number[]): Dense {
  const bits = (n: number): number => (n === 0 ? 0 : (n & 1) + bits(n >> 1));
  const values = Float32Array.from({ length: NVFP4_BLOCK ** 2 }, (_, at) => {
    const [i, j] = [Math.floor(at / NVFP4_BLOCK), at % NVFP4_BLOCK];
    return (signs[j]! * (bits(i & j) % 2 === 0 ? 1 : -1)) / 4;
  });
  return tensor(rt, values, { shape: [NVFP4_BLOCK, NVFP4_BLOCK], device }) as Dense;
}

const notZero = (t: Tensor): Tensor => where(eq(t, 0), 1, t);

/** float32 values of e2m1: steps of 1/2 below 2, 1 below 4, 2 up to 6; u in [0, 1) rounds at random. */
function toE2m1(v: Tensor, u: Tensor | undefined): Tensor {
  const size = minimum(abs(v as Dense), F4_MAX);
  const step = powerOfTwo(sub(maximum(exponentOf(size), 0), 1));
  const steps = div(size, step);
  const whole = mul(u === undefined ? round(steps) : floor(add(steps, u)), step);
  const kept = minimum(whole, F4_MAX);
  return where(lt(v, 0), mul(kept, -1), kept);
}

/** Values that share a scale are a row: [blocks, values] float32 -> the values that codes and scales stand for. */
function rounded(blocks: Tensor, noise: ((like: Tensor) => Tensor) | undefined): Tensor {
  const whole = div(amax(abs(blocks as Dense)), F8_MAX * F4_MAX);
  const t = notZero(whole);
  const wanted = div(div(amax(abs(blocks as Dense), 1, true), F4_MAX), t);
  const scale = cast(cast(clamp(wanted, F8_TINY, F8_MAX), float8_e4m3fn), float32);
  const values = clamp(mul(blocks, div(div(1, t), scale)), -F4_MAX, F4_MAX);
  return mul(toE2m1(values, noise?.(values)), mul(whole, scale));
}

function squares(w: Tensor): Tensor {
  const b = NVFP4_BLOCK;
  const [n, k] = w.shape.map((size) => size / b) as [number, number];
  const tiles = permute(reshape(w, [n, b, k, b]), [0, 2, 1, 3]);
  const values = rounded(reshape(tiles, [n * k, b * b]), undefined);
  return reshape(permute(reshape(values, [n, k, b, b]), [0, 2, 1, 3]), w.shape);
}

/** `state` is the generator of gradients' rounding, int32 [2]; undefined rounds them to the nearest. */
export function nvfp4Scheme(rotation: Tensor, state: Tensor | undefined): TrainingScheme {
  const noise = (like: Tensor): Tensor => uniform_(empty(like.rt, like.shape, { device: like.device }), 0, 1, state!);
  return schemeOf({
    ...productsOf((rows, operand, gemm) => {
      const x = cast(rows, float32);
      if (operand === 'weight') return squares(x);
      const blocks = reshape(x, [-1, NVFP4_BLOCK]);
      const spread = gemm === 'gradWeight' ? linear(blocks, rotation) : blocks;
      const random = operand === 'gradOutput' && state !== undefined ? noise : undefined;
      return reshape(rounded(spread, random), rows.shape);
    }, float32),
    requireRows: (rows) => requireMultiple('nvfp4_linear', rows, NVFP4_BLOCK),
  });
}
