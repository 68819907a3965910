// Short names of the schemes of small floats and tables, as parseScheme reads and their configs print them.
import { codebookWeightOnly, groupwiseLutWeight, type UintDType } from './codebook.ts';
import type { AoConfig } from './config.ts';
import { configError } from './field.ts';
import type { Float8Dtype, MXDtype, ScaleCalculationMode } from './float-fields.ts';
import { float8DynamicActivationFloat8Weight } from './float8-dynamic-activation-float8-weight.ts';
import { float8DynamicActivationInt4Weight } from './float8-dynamic-activation-int4-weight.ts';
import { float8WeightOnly } from './float8-weight-only.ts';
import { fpxWeightOnly } from './fpx-weight-only.ts';
import { type GgufFormat, ggufWeightOnly } from './gguf-weight-only.ts';
import { perBlock, perGroup, perRow, perTensor } from './granularity.ts';
import { mxDynamicActivationMxWeight, mxWeightOnly } from './mx.ts';
import { nf4WeightOnly } from './nf4-weight-only.ts';
import { nvfp4DynamicActivationNvfp4Weight, nvfp4WeightOnly } from './nvfp4.ts';
import { type UIntxDtype, uintxWeightOnly } from './uintx-weight-only.ts';

interface FloatScheme {
  readonly pattern: RegExp;
  readonly help: string;
  readonly make: (match: RegExpExecArray, group: number) => AoConfig;
  readonly fixedActivation: true;
}

/** A scheme whose name takes no activation suffix; `grouped` ones take a group size. */
function scheme(
  pattern: RegExp,
  help: string,
  make: (match: RegExpExecArray, group: number) => AoConfig,
  grouped = false,
): FloatScheme {
  const checked = (match: RegExpExecArray, group: number): AoConfig => {
    if (group > 0 && !grouped) throw configError(`scheme '${match[0]}' has no groups`, `leave '-${group}' out`);
    return make(match, group);
  };
  return { pattern, help, make: checked, fixedActivation: true };
}

const float8 = (suffix: string | undefined): Float8Dtype => (suffix === undefined ? 'float8_e4m3fn' : 'float8_e5m2');

const MX: Readonly<Record<string, MXDtype>> = {
  '8': 'float8_e4m3fn',
  '8-e5m2': 'float8_e5m2',
  '6-e2m3': 'fp6_e2m3',
  '6-e3m2': 'fp6_e3m2',
  '4': 'float4_e2m1fn_x2',
};

export const floatSchemes: readonly FloatScheme[] = /*@__PURE__*/ Object.freeze([
  /*@__PURE__*/ scheme(
    /^float8wo(-e5m2)?(?:-(tensor|(\d+)x(\d+)))?$/,
    'float8wo[-e5m2][-tensor|-GROUP|-RxC]: float8 weights by rows, the tensor, groups or blocks',
    (m, group) => {
      const blocks = m[3] === undefined ? undefined : perBlock([Number(m[3]), Number(m[4])]);
      const granularity = blocks ?? (m[2] === 'tensor' ? perTensor() : group > 0 ? perGroup(group) : perRow());
      return float8WeightOnly({ weightDtype: float8(m[1]), granularity });
    },
    true,
  ),
  /*@__PURE__*/ scheme(
    /^float8dq(-e5m2)?(?:-(tensor|row|(\d+)x(\d+)))?$/,
    'float8dq[-e5m2][-tensor|-row|-128x128]: float8 weights and dynamic float8 activations',
    (m) => {
      const columns = Number(m[4]);
      const blocks =
        m[3] === undefined ? undefined : ([perBlock([1, columns]), perBlock([Number(m[3]), columns])] as const);
      const granularity = blocks ?? (m[2] === 'row' ? perRow() : perTensor());
      return float8DynamicActivationFloat8Weight({ weightDtype: float8(m[1]), granularity });
    },
  ),
  /*@__PURE__*/ scheme(/^float8dq-int4$/, 'float8dq-int4: int4 weights in groups of 128, float8 activations', () =>
    float8DynamicActivationInt4Weight(),
  ),
  /*@__PURE__*/ scheme(
    /^mxfp(8|8-e5m2|6-e2m3|6-e3m2|4)(wo|dq)(?:-(floor|ceil|even|rceil))?$/,
    'mxfp8|mxfp8-e5m2|mxfp6-e2m3|mxfp6-e3m2|mxfp4, then wo or dq, then [-floor|-ceil|-even]: MX blocks of 32',
    (m) => {
      const weightDtype = MX[m[1] as string] as MXDtype;
      const scalingMode = (m[3] ?? 'rceil').toUpperCase() as ScaleCalculationMode;
      return m[2] === 'wo'
        ? mxWeightOnly({ weightDtype, scalingMode })
        : mxDynamicActivationMxWeight({ weightDtype, activationDtype: weightDtype, scalingMode });
    },
  ),
  /*@__PURE__*/ scheme(
    /^nvfp4(wo|dq)(-single)?$/,
    'nvfp4wo|nvfp4dq[-single]: NVFP4 in blocks of 16, -single without the scale of the tensor',
    (m) => {
      const options = { useDynamicPerTensorScale: m[2] === undefined };
      return m[1] === 'wo' ? nvfp4WeightOnly(options) : nvfp4DynamicActivationNvfp4Weight(options);
    },
  ),
  /*@__PURE__*/ scheme(
    /^nf4wo$/,
    'nf4wo[-BLOCK]: NF4 with double quantization, blocks of 64 unless given',
    (_m, group) => nf4WeightOnly({ blockSize: group || 64 }),
    true,
  ),
  /*@__PURE__*/ scheme(/^fp([3-8])_e(\d)m(\d)$/, 'fpB_eXmY: floats of B = 1 + X + Y bits, 3 to 8', (m) => {
    const [bits, ebits, mbits] = m.slice(1).map(Number) as [number, number, number];
    if (bits !== 1 + ebits + mbits) {
      throw configError(
        `scheme '${m[0]}': a sign, ${ebits} and ${mbits} bits are ${1 + ebits + mbits}`,
        `use fp${1 + ebits + mbits}_e${ebits}m${mbits}`,
      );
    }
    return fpxWeightOnly(ebits, mbits);
  }),
  /*@__PURE__*/ scheme(
    /^uint([1-7])wo(-hqq)?$/,
    'uintBwo[-hqq][-GROUP]: unsigned codes with integer zero points, groups of 64 unless given',
    (m, group) =>
      uintxWeightOnly({ dtype: `uint${m[1]}` as UIntxDtype, useHqq: m[2] !== undefined, groupSize: group || 64 }),
    true,
  ),
  /*@__PURE__*/ scheme(
    /^uintx([1-8])wo(-row)?$/,
    'uintxBwo[-GROUP|-row]: unsigned codes with float zero points by HQQ, groups of 128 unless given; 8 bits symmetric',
    (m, group) => uintxWeightOnly({ bitWidth: Number(m[1]), groupSize: m[2] === undefined ? group || 128 : null }),
    true,
  ),
  /*@__PURE__*/ scheme(
    /^codebook([1-8])wo$/,
    'codebookBwo[-GROUP]: 2^B values found by k-means, scaled by groups where given',
    (m, group) => codebookWeightOnly({ dtype: `uint${m[1]}` as UintDType, scaleBlockSize: group || null }),
    true,
  ),
  /*@__PURE__*/ scheme(
    /^gguf-q(?:([2-6])_[kK]|([48]))$/,
    "gguf-qB_K, gguf-q4_0, gguf-q8_0: llama.cpp's types, K-quants of B = 2 to 6 bits",
    (m) => ggufWeightOnly({ format: (m[1] === undefined ? `q${m[2]}_0` : `q${m[1]}_K`) as GgufFormat }),
  ),
  /*@__PURE__*/ scheme(
    /^lut([1-8])wo(?:-(\d+)([rc]))?$/,
    'lutBwo[-Nr|-Kc]: 2^B values for each N rows (2 unless given) or K columns',
    (m) => {
      const n = Number(m[2] ?? 2);
      return groupwiseLutWeight({ codeDtype: `int${m[1]}`, lutBlockShape: m[3] === 'c' ? [-1, n] : [n, -1] });
    },
  ),
]);
