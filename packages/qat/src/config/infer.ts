// What a base config rounds weights and activations to, as fake quantizers: the same numbers that it gives when it quantizes.
import { type Dense, dequantize, dtypeByName, dtypeRange, type Runtime, type Tensor } from '@ao/core';
import {
  type AoConfig,
  type Float8DynamicActivationFloat8WeightConfig,
  type Granularity,
  type Int4WeightOnlyConfig,
  type Int8DynamicActivationInt8WeightConfig,
  type Int8DynamicActivationIntxWeightConfig,
  type Int8WeightOnlyConfig,
  type IntxWeightOnlyConfig,
  isProblem,
  type MXDynamicActivationMXWeightConfig,
  type NVFP4DynamicActivationNVFP4WeightConfig,
  perRow,
  planTensor,
} from '@ao/quantization';
import type { FakeQuantizer } from '../fake-quantize/fake-quantizer.ts';
import { fakeQuantizerOf } from '../fake-quantize/from-config.ts';
import { groups } from '../fake-quantize/groups.ts';
import { int4Rows } from '../fake-quantize/int4.ts';
import { configError, float8FakeQuantize, mxFakeQuantize, nvfp4FakeQuantize } from './fake-quantize.ts';

export interface Quantizers {
  readonly activation: FakeQuantizer | null;
  readonly weight: FakeQuantizer | null;
  /** Forward runs on the quantized weight itself, as integer activations and 16-bit floats need for equal bits. */
  readonly real: 'always' | 'not-float32' | 'never';
}

/** Rounds by quantizing; gradients pass as they are. */
const through = (base: AoConfig): FakeQuantizer => ({
  forward: (w) => {
    const plan = planTensor(w.rt as Runtime, base, { shape: w.shape, dtype: w.dtype.name });
    if (isProblem(plan)) throw configError(plan.problem, plan.fix);
    return dequantize(plan.quantize(w as Dense)) as Tensor;
  },
  backward: (g) => g,
});

/** Columns that share a scale, 0: a row; the whole tensor is one row of groups(). */
const span = (g: Granularity): { groupSize: number; whole?: boolean } =>
  g.type === 'PerGroup' ? { groupSize: g.groupSize } : { groupSize: 0, whole: g.type === 'PerTensor' };

const int8Range = (reduce: boolean): { quantMin: number; quantMax: number } =>
  reduce ? { quantMin: -64, quantMax: 63 } : { quantMin: -128, quantMax: 127 };

const INT8 = { eps: 2 ** -23, scaleDtype: dtypeByName('float32') };

/** 8da4w's activations. */
const asymmetricTokens = (): FakeQuantizer => groups({ groupSize: 0, mapping: 'ASYMMETRIC', ...int8Range(false) });

type Infer<C> = (config: C) => Quantizers;

const intxWeight = (c: IntxWeightOnlyConfig | Int8DynamicActivationIntxWeightConfig): FakeQuantizer => {
  const dynamic = c.type === 'Int8DynamicActivationIntxWeightConfig';
  if (/hqq/i.test(c.intxChooseQparamsAlgorithm)) return through(c);
  const scale = dynamic ? c.weightScaleDtype : c.scaleDtype;
  return groups({
    ...span(dynamic ? c.weightGranularity : c.granularity),
    ...dtypeRange('qat', c.weightDtype),
    mapping: dynamic ? c.weightMappingType : c.mappingType,
    scaleDtype: scale === null ? undefined : dtypeByName(scale),
  });
};

const intx: Infer<IntxWeightOnlyConfig> = (c) => ({
  activation: null,
  weight: intxWeight(c),
  real: c.activation === 'exact' && c.scaleDtype === null ? 'not-float32' : 'always',
});

const int8DynamicIntx: Infer<Int8DynamicActivationIntxWeightConfig> = (c) => ({
  activation: asymmetricTokens(),
  weight: intxWeight(c),
  real: 'always',
});

const int8: Infer<Int8WeightOnlyConfig> = (c) => ({
  activation: null,
  weight: groups({ ...span(c.granularity), ...int8Range(false), mapping: 'SYMMETRIC', ...INT8 }),
  real: c.activation === 'exact' ? 'not-float32' : 'always',
});

const int8Dynamic: Infer<Int8DynamicActivationInt8WeightConfig> = (c) => {
  const [act, weight] = [c.granularity].flat() as Granularity[];
  return {
    activation: groups({ ...span(act!), ...int8Range(c.reduceRange), mapping: c.actMappingType, ...INT8 }),
    weight: groups({ ...span(weight ?? act!), ...int8Range(c.reduceRange), mapping: 'SYMMETRIC', ...INT8 }),
    real: 'always',
  };
};

const int4: Infer<Int4WeightOnlyConfig> = (c) => ({
  activation: null,
  weight: /hqq/i.test(c.int4ChooseQparamsAlgorithm) ? through(c) : int4Rows(c.groupSize),
  real: 'always',
});

const float8: Infer<Float8DynamicActivationFloat8WeightConfig> = (c) => {
  const [act = perRow(), weight = act] = c.granularity;
  const bounds = { hpValueLb: c.activationValueLb, hpValueUb: c.activationValueUb };
  return {
    activation: fakeQuantizerOf(float8FakeQuantize({ dtype: c.activationDtype, granularity: act, ...bounds })),
    weight: fakeQuantizerOf(float8FakeQuantize({ dtype: c.weightDtype, granularity: weight })),
    real: 'never',
  };
};

const mode = (s: string): 'RCEIL' => s.toUpperCase() as 'RCEIL';

const mx: Infer<MXDynamicActivationMXWeightConfig> = (c) => {
  const { blockSize } = c;
  const of = (dtype: typeof c.weightDtype): FakeQuantizer =>
    fakeQuantizerOf(mxFakeQuantize({ dtype, blockSize, scalingMode: mode(c.scalingMode) }));
  return { activation: of(c.activationDtype), weight: of(c.weightDtype), real: 'always' };
};

const nvfp4: Infer<NVFP4DynamicActivationNVFP4WeightConfig> = (c) => {
  const both = fakeQuantizerOf(nvfp4FakeQuantize({ usePerTensorScale: c.useDynamicPerTensorScale }));
  return { activation: both, weight: both, real: 'always' };
};

const float8Int4: Infer<AoConfig> = (c) => ({
  activation: fakeQuantizerOf(float8FakeQuantize()),
  weight: through(c),
  real: 'always',
});

const known: Readonly<Record<string, Infer<never>>> = {
  IntxWeightOnlyConfig: intx,
  Int8DynamicActivationIntxWeightConfig: int8DynamicIntx,
  Int8WeightOnlyConfig: int8,
  Int8DynamicActivationInt8WeightConfig: int8Dynamic,
  Int4WeightOnlyConfig: int4,
  Float8DynamicActivationFloat8WeightConfig: float8,
  Float8DynamicActivationInt4WeightConfig: float8Int4,
  MXDynamicActivationMXWeightConfig: mx,
  NVFP4DynamicActivationNVFP4WeightConfig: nvfp4,
};

/** Fake quantizers of a base config. Weight-only schemes without a rule of their own round by quantizing. Throws ERR_AO_CONFIG. */
export function inferFakeQuantizers(base: AoConfig): Quantizers {
  const infer = known[base.type] as Infer<AoConfig> | undefined;
  if (infer !== undefined) return infer(base);
  if (base.type.endsWith('WeightOnlyConfig')) return { activation: null, weight: through(base), real: 'always' };
  throw configError(
    `${base.type} is no base config of quantization-aware training`,
    `use one of: ${Object.keys(known).join(', ')}, or a weight-only config`,
  );
}
