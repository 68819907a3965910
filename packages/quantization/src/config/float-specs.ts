// The specs of every config of small floats, tables and unsigned codes, for the JSON codec and for names that stand for configs.
import { codebookWeightOnlySpec, groupwiseLutWeightSpec } from './codebook.ts';
import type { AnyConfigSpec } from './config.ts';
import { float8DynamicActivationFloat8WeightSpec } from './float8-dynamic-activation-float8-weight.ts';
import { float8DynamicActivationInt4WeightSpec } from './float8-dynamic-activation-int4-weight.ts';
import { float8StaticActivationFloat8WeightSpec } from './float8-static-activation-float8-weight.ts';
import { float8WeightOnlySpec } from './float8-weight-only.ts';
import { fpxWeightOnlySpec } from './fpx-weight-only.ts';
import { ggufWeightOnlySpec } from './gguf-weight-only.ts';
import { mxDynamicActivationMxWeightSpec, mxWeightOnlySpec } from './mx.ts';
import { nf4WeightOnlySpec } from './nf4-weight-only.ts';
import { nvfp4DynamicActivationNvfp4WeightSpec, nvfp4WeightOnlySpec } from './nvfp4.ts';
import { oldUintxWeightOnlySpec, uintxWeightOnlySpec } from './uintx-weight-only.ts';

export const floatSpecs: readonly AnyConfigSpec[] = /*@__PURE__*/ Object.freeze([
  float8WeightOnlySpec,
  float8DynamicActivationFloat8WeightSpec,
  float8StaticActivationFloat8WeightSpec,
  float8DynamicActivationInt4WeightSpec,
  mxDynamicActivationMxWeightSpec,
  mxWeightOnlySpec,
  nvfp4DynamicActivationNvfp4WeightSpec,
  nvfp4WeightOnlySpec,
  nf4WeightOnlySpec,
  fpxWeightOnlySpec,
  uintxWeightOnlySpec,
  oldUintxWeightOnlySpec,
  codebookWeightOnlySpec,
  groupwiseLutWeightSpec,
  ggufWeightOnlySpec,
]);
