// The three products of Float8Linear, each with operands cast as the config says.
import { AoError, cast, cat, type Dense, dtypeByName, type Tensor, zeros } from '@ao/core';
import type { Cast, Float8GemmConfig, Float8LinearConfig } from './config/float8-linear-config.ts';
import { countOutOfRange, type Operand } from './counts.ts';
import { type Gemm, innerDims, plainMm, scaledMm } from './ops/scaled-mm.ts';
import { float8Codes, float8Scale, type ScaleAxis, toFloat8 } from './ops/to-float8.ts';
import type { TrainingScheme } from './training-linear.ts';

/** Float8 tensor cores multiply matrices whose sizes are multiples of it. */
export const ALIGNMENT = 16;

export interface SchemeParts {
  /** Scale of the weight, found ahead. */
  readonly scale?: (() => Tensor) | undefined;
  readonly counts?: Tensor | undefined;
}

interface Input {
  readonly t: Tensor;
  readonly cast: Cast;
  readonly role: Operand;
}

/** Zeros behind dimension `dim`, to a multiple of 16. */
function paddedTo16(codes: Tensor, dim: number): Tensor {
  const missing = -codes.shape[dim]! & (ALIGNMENT - 1);
  if (missing === 0) return codes;
  const shape = codes.shape.map((n, i) => (i === dim ? missing : n));
  return cat([codes, zeros(codes.rt, shape, { dtype: codes.dtype, device: codes.device })], dim);
}

/** A scale for each row or column of what was padded; zeros of padding take any. */
const axisOf = (c: Cast, innerDim: number): ScaleAxis =>
  c.scalingGranularity === 'tensorwise' ? 'all' : innerDim === 1 ? 'rows' : 'columns';

export function float8Scheme(config: Float8LinearConfig, { scale: ahead, counts }: SchemeParts): TrainingScheme {
  const pow2 = config.roundScalesToPowerOf2;
  const pads = config.padInnerDim && !config.emulate;

  function operand({ t, cast: c, role }: Input, innerDim: number): [codes: Tensor, scale: Tensor] {
    const dtype = dtypeByName(c.targetDtype);
    const axis = axisOf(c, innerDim);
    const known = role === 'weight' && axis === 'all' ? ahead?.() : undefined;
    const [codes, scale] = known === undefined ? toFloat8(t, dtype, axis, pow2) : [float8Codes(t, known, dtype), known];
    if (counts !== undefined) countOutOfRange(counts, role, t, scale, dtype);
    return [pads ? paddedTo16(codes, innerDim) : codes, scale];
  }

  function product(a: Input, b: Input, gemm: Gemm, { useFastAccum }: Float8GemmConfig): Tensor {
    const outDtype = a.t.dtype;
    if (a.cast.scalingType === 'disabled') return plainMm(a.t, cast(b.t, outDtype), gemm);
    const [i, j] = innerDims(gemm);
    const [left, right] = [operand(a, i), operand(b, j)];
    return scaledMm(...left, ...right, { gemm, outDtype, useFastAccum, emulate: config.emulate });
  }

  const tensorwise = (c: Cast): boolean => c.scalingType === 'dynamic' && c.scalingGranularity === 'tensorwise';
  return {
    readsCodes:
      counts === undefined && tensorwise(config.castConfigWeight) && tensorwise(config.castConfigWeightForGradInput),
    output: (x, w) =>
      product(
        { t: x, cast: config.castConfigInput, role: 'input' },
        { t: w, cast: config.castConfigWeight, role: 'weight' },
        'output',
        config.gemmConfigOutput,
      ),
    gradInput: (g, w) =>
      product(
        { t: g, cast: config.castConfigGradOutput, role: 'gradOutput' },
        { t: w, cast: config.castConfigWeightForGradInput, role: 'weight' },
        'gradInput',
        config.gemmConfigGradInput,
      ),
    gradWeight: (g, x) =>
      product(
        { t: g, cast: config.castConfigGradOutputForGradWeight, role: 'gradOutput' },
        { t: x, cast: config.castConfigInputForGradWeight, role: 'input' },
        'gradWeight',
        config.gemmConfigGradWeight,
      ),
    requireRows(rows) {
      const free = config.emulate || config.padInnerDim;
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
