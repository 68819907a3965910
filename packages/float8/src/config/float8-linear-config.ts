// Float8LinearConfig: how each of the six operands of a linear's three matrix products is cast to float8, and how the products run.
//   output = cast(input) cast(weight)^T;  grad_input = cast(grad_output) cast(weight);  grad_weight = cast(grad_output)^T cast(input)
import { AoError } from '@ao/core';

export type ScalingType = 'dynamic' | 'disabled';
export type ScalingGranularity = 'tensorwise' | 'axiswise';
export type Float8TrainingDtype = 'float8_e4m3fn' | 'float8_e5m2';

export interface CastConfig {
  /** dynamic: the scale is found from the values at each cast; disabled: the operand stays as it is. */
  readonly scalingType: ScalingType;
  /** One scale for the tensor, or one for each row along the dimension that the product sums over. */
  readonly scalingGranularity: ScalingGranularity;
  /** null: e4m3 for input and weight, e5m2 for grad_output. */
  readonly targetDtype: Float8TrainingDtype | null;
}

export interface Float8GemmConfig {
  /** Sums of less precision on devices that have them; emulated products always sum in float32. */
  readonly useFastAccum: boolean;
}

export interface Float8LinearOptions {
  readonly castConfigInput?: Partial<CastConfig>;
  readonly castConfigInputForGradWeight?: Partial<CastConfig> | null;
  readonly castConfigWeight?: Partial<CastConfig>;
  readonly castConfigWeightForGradInput?: Partial<CastConfig> | null;
  readonly castConfigGradOutput?: Partial<CastConfig>;
  readonly castConfigGradOutputForGradWeight?: Partial<CastConfig> | null;
  readonly gemmConfigOutput?: Float8GemmConfig;
  readonly gemmConfigGradInput?: Float8GemmConfig;
  readonly gemmConfigGradWeight?: Float8GemmConfig;
  /** The weight's scale may be found ahead, by precomputeFloat8DynamicScale after each step. */
  readonly enableFsdpFloat8AllGather?: boolean;
  /** Pads the dimension that a product sums over with zeros to a multiple of 16, as float8 tensor cores want it. */
  readonly padInnerDim?: boolean;
  /** Products of the decoded operands in float32 on every device, of any shape. */
  readonly emulate?: boolean;
  /** Scales are rounded down to powers of two. */
  readonly roundScalesToPowerOf2?: boolean;
}

/** All options, with those of the second products and the dtypes filled in. */
export interface Float8LinearConfig {
  readonly type: 'Float8LinearConfig';
  readonly castConfigInput: Cast;
  readonly castConfigInputForGradWeight: Cast;
  readonly castConfigWeight: Cast;
  readonly castConfigWeightForGradInput: Cast;
  readonly castConfigGradOutput: Cast;
  readonly castConfigGradOutputForGradWeight: Cast;
  readonly gemmConfigOutput: Float8GemmConfig;
  readonly gemmConfigGradInput: Float8GemmConfig;
  readonly gemmConfigGradWeight: Float8GemmConfig;
  readonly enableFsdpFloat8AllGather: boolean;
  readonly padInnerDim: boolean;
  readonly emulate: boolean;
  readonly roundScalesToPowerOf2: boolean;
}

export type Cast = CastConfig & { readonly targetDtype: Float8TrainingDtype };
export type Float8LinearRecipeName = 'tensorwise' | 'rowwise' | 'rowwise_with_gw_hp';

const TYPES: readonly string[] = ['dynamic', 'disabled'];
const GRANULARITIES: readonly string[] = ['tensorwise', 'axiswise'];
const DTYPES: readonly unknown[] = ['float8_e4m3fn', 'float8_e5m2', null];

const wrong = (message: string, fix: string): AoError =>
  new AoError('ERR_AO_CONFIG', message, { op: 'float8LinearConfig', fix });

function castConfig(name: string, given: Partial<CastConfig>): CastConfig {
  const c = {
    scalingType: given.scalingType ?? 'dynamic',
    scalingGranularity: given.scalingGranularity ?? 'tensorwise',
    targetDtype: given.targetDtype ?? null,
  };
  if (!TYPES.includes(c.scalingType))
    throw wrong(`${name}.scalingType is '${c.scalingType}'`, `use ${TYPES.join(' or ')}`);
  if (!GRANULARITIES.includes(c.scalingGranularity)) {
    throw wrong(`${name}.scalingGranularity is '${c.scalingGranularity}'`, `use ${GRANULARITIES.join(' or ')}`);
  }
  if (!DTYPES.includes(c.targetDtype)) {
    throw wrong(`${name}.targetDtype is '${c.targetDtype}'`, 'use float8_e4m3fn or float8_e5m2');
  }
  if (c.scalingGranularity === 'axiswise' && c.scalingType !== 'dynamic') {
    throw wrong(`${name} is axiswise and ${c.scalingType}`, 'axiswise scales are dynamic');
  }
  return c;
}

/** A tensor's casts in the two products that read it; their dtypes must agree. */
function pair(
  name: string,
  second: string,
  fallback: Float8TrainingDtype,
  one: Partial<CastConfig> = {},
  two?: Partial<CastConfig> | null,
): [Cast, Cast] {
  const a = castConfig(name, one);
  const b = two == null ? a : castConfig(second, two);
  const [x, y] = [a.targetDtype ?? fallback, b.targetDtype ?? fallback];
  if (x !== y) throw wrong(`${name} is cast to ${x} and, by ${second}, to ${y}`, 'give both the same targetDtype');
  return [
    { ...a, targetDtype: x },
    { ...b, targetDtype: y },
  ];
}

/** torchao's Float8LinearConfig; throws ERR_AO_CONFIG where options contradict each other. */
export function float8LinearConfig(o: Float8LinearOptions = {}): Float8LinearConfig {
  const [input, inputGw] = pair(
    'castConfigInput',
    'castConfigInputForGradWeight',
    'float8_e4m3fn',
    o.castConfigInput,
    o.castConfigInputForGradWeight,
  );
  const [weight, weightGi] = pair(
    'castConfigWeight',
    'castConfigWeightForGradInput',
    'float8_e4m3fn',
    o.castConfigWeight,
    o.castConfigWeightForGradInput,
  );
  const [grad, gradGw] = pair(
    'castConfigGradOutput',
    'castConfigGradOutputForGradWeight',
    'float8_e5m2',
    o.castConfigGradOutput,
    o.castConfigGradOutputForGradWeight,
  );
  for (const [gemm, a, b] of [
    ['output', input, weight],
    ['grad_input', grad, weightGi],
    ['grad_weight', inputGw, gradGw],
  ] as const) {
    if (a.scalingType === b.scalingType) continue;
    throw wrong(`one operand of ${gemm} is float8, the other is not`, 'disable the casts of both, or of none');
  }
  const ahead = o.enableFsdpFloat8AllGather ?? false;
  if (ahead && (weight.scalingGranularity !== 'tensorwise' || weight.scalingType !== 'dynamic')) {
    throw wrong('enableFsdpFloat8AllGather wants one dynamic scale a weight', 'make castConfigWeight tensorwise');
  }
  return {
    type: 'Float8LinearConfig',
    castConfigInput: input,
    castConfigInputForGradWeight: inputGw,
    castConfigWeight: weight,
    castConfigWeightForGradInput: weightGi,
    castConfigGradOutput: grad,
    castConfigGradOutputForGradWeight: gradGw,
    gemmConfigOutput: o.gemmConfigOutput ?? { useFastAccum: true },
    gemmConfigGradInput: o.gemmConfigGradInput ?? { useFastAccum: false },
    gemmConfigGradWeight: o.gemmConfigGradWeight ?? { useFastAccum: false },
    enableFsdpFloat8AllGather: ahead,
    padInnerDim: o.padInnerDim ?? false,
    emulate: o.emulate ?? false,
    roundScalesToPowerOf2: o.roundScalesToPowerOf2 ?? false,
  };
}
