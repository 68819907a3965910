// The three products of Float8Linear, each with operands cast as the config says.
import {
  AoError,
  cast,
  cat,
  contiguous,
  type Dense,
  type DType,
  dtypeByName,
  permute,
  scaledMm,
  type Tensor,
  zeros,
} from '@ao/core';
import type { Cast, Float8GemmConfig, Float8LinearConfig } from './config/float8-linear-config.ts';
import { countOutOfRange, type Operand as Role } from './counts.ts';
import { type Gemm, plainMm } from './ops/products.ts';
import { float8Codes, float8Scale, type ScaleAxis, toFloat8, toFloat8Both, toFloat8Turned } from './ops/to-float8.ts';
import type { Operand, Operands, TrainingScheme, Wanted } from './training-linear.ts';

/** Float8 tensor cores multiply matrices whose sizes are multiples of it. */
export const ALIGNMENT = 16;

export interface SchemeParts {
  /** Scale of the weight, found ahead. */
  readonly scale?: (() => Tensor) | undefined;
  readonly counts?: Tensor | undefined;
}

/** Zeros behind the columns, to a multiple of 16. */
function paddedTo16(codes: Tensor): Tensor {
  const [rows, columns] = codes.shape as [number, number];
  const missing = -columns & (ALIGNMENT - 1);
  if (missing === 0) return codes;
  return cat([codes, zeros(codes.rt, [rows, missing], { dtype: codes.dtype, device: codes.device })], 1);
}

const axisOf = (c: Cast): ScaleAxis => (c.scalingGranularity === 'tensorwise' ? 'all' : 'rows');

/** How a matrix is cast for the two products that read it: as it lies, or turned, so that both sum over columns. */
type Pair = readonly [first: Cast, second: Cast];

export function float8Scheme(config: Float8LinearConfig, { scale: ahead, counts }: SchemeParts): TrainingScheme {
  const pow2 = config.roundScalesToPowerOf2;
  const { emulate } = config;
  const pads = config.padInnerDim && !emulate;

  /** Codes and scale of t where `first`, of its transpose where `second`. */
  function cast8(t: Tensor, role: Role, [a, b]: Pair, [first, second]: Wanted): Operands {
    const dtype = dtypeByName(a.targetDtype);
    const known = role === 'weight' && (!first || axisOf(a) === 'all') && (!second || axisOf(b) === 'all') && ahead?.();
    let made: Operand;
    if (known) {
      const codes = float8Codes(t, known, dtype);
      made = [...(first ? [codes, known] : []), ...(second ? [contiguous(permute(codes, [1, 0])), known] : [])];
    } else if (first && second) made = toFloat8Both(t, dtype, axisOf(a), axisOf(b), pow2);
    else made = (first ? toFloat8 : toFloat8Turned)(t, dtype, axisOf(first ? a : b), pow2);
    const operand = (codes: Tensor, scale: Tensor, from: () => Tensor): Operand => {
      if (counts !== undefined) countOutOfRange(counts, role, from(), scale, dtype);
      return [pads ? paddedTo16(codes) : codes, scale];
    };
    return [
      first ? operand(made[0]!, made[1]!, () => t) : undefined,
      second ? operand(made.at(-2)!, made.at(-1)!, () => permute(t, [1, 0])) : undefined,
    ];
  }

  /** Of a product whose operands are not cast, the matrix itself in `dtype`. */
  function operands(t: Tensor, role: Role, pair: Pair, wanted: Wanted, dtype: DType): Operands {
    const itself = pair.map((c, i) => (wanted[i]! && c.scalingType === 'disabled' ? [cast(t, dtype)] : undefined));
    const scaled: Wanted = [wanted[0] && !itself[0], wanted[1] && !itself[1]];
    const codes = scaled[0] || scaled[1] ? cast8(t, role, pair, scaled) : [];
    return [itself[0] ?? codes[0], itself[1] ?? codes[1]];
  }

  const product =
    (gemm: Gemm, { useFastAccum }: Float8GemmConfig) =>
    ([a, aScale]: Operand, [b, bScale]: Operand, outDtype: DType): Tensor =>
      aScale === undefined || bScale === undefined
        ? plainMm(a!, b!, gemm)
        : scaledMm(a!, aScale, b!, bScale, { outDtype, divides: true, useFastAccum, emulate });

  const tensorwise = (c: Cast): boolean => c.scalingType === 'dynamic' && c.scalingGranularity === 'tensorwise';
  return {
    readsCodes:
      counts === undefined && tensorwise(config.castConfigWeight) && tensorwise(config.castConfigWeightForGradInput),
    input: (x, wanted) =>
      operands(x, 'input', [config.castConfigInput, config.castConfigInputForGradWeight], wanted, x.dtype),
    weight: (w, wanted, dtype) =>
      operands(w, 'weight', [config.castConfigWeight, config.castConfigWeightForGradInput], wanted, dtype),
    gradOutput: (g, wanted) =>
      operands(
        g,
        'gradOutput',
        [config.castConfigGradOutput, config.castConfigGradOutputForGradWeight],
        wanted,
        g.dtype,
      ),
    output: product('output', config.gemmConfigOutput),
    gradInput: product('gradInput', config.gemmConfigGradInput),
    gradWeight: product('gradWeight', config.gemmConfigGradWeight),
    requireRows(rows) {
      const free = emulate || config.padInnerDim;
      const scaled = config.castConfigInputForGradWeight.scalingType === 'dynamic';
      if (free || !scaled || rows % ALIGNMENT === 0) return;
      throw new AoError('ERR_AO_SHAPE', `grad_weight sums over ${rows} rows, no multiple of ${ALIGNMENT}`, {
        op: 'float8_linear',
        fix: 'give batch x length a multiple of 16, or set padInnerDim: true (or emulate: true)',
      });
    },
  };
}

/** The weight's scale of a config that finds it ahead. */
export const weightScale = (w: Tensor, config: Float8LinearConfig): Dense =>
  float8Scale(w, dtypeByName(config.castConfigWeight.targetDtype), 'all', config.roundScalesToPowerOf2) as Dense;
