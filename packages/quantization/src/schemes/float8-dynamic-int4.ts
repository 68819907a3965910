// Symmetric int4 weights in groups of 128 on Int4Tensor, activations in float8 by rows:
//   scale = max(amax, 1e-6) / 8, q = clamp(round(w / scale), -8, 7), zero point 0
import {
  abs,
  amax,
  cast,
  clamp,
  type Dense,
  div,
  type Entry,
  type Extension,
  float32,
  int8,
  maximum,
  packInt4,
  reshape,
  round,
  transpose,
  zeros,
} from '@ao/core';
import {
  type Float8DynamicActivationInt4WeightConfig,
  float8DynamicActivationInt4WeightSpec,
} from '../config/float8-dynamic-activation-int4-weight.ts';
import { type Int4Tensor, int4Kind, int4KindEntries } from '../kinds/int4-tensor.ts';
import { ofStacks } from '../quantize/of-stacks.ts';
import { checkMatrix, schemeEntries, type TensorPlan, type TensorProblem, type WeightInfo } from '../quantize/trait.ts';
import { emulated } from './emulated.ts';

const GROUP = 128;

/** torchao's Int4Tensor.from_hp with activations in float8_e4m3fn. */
export function int4Float8FromHp(weight: Dense, groupSize = GROUP): Int4Tensor {
  const [N, K] = weight.shape as [number, number];
  const w = reshape(cast(weight, float32), [-1, groupSize]);
  const scale = div(maximum(amax(abs(w), 1, true), 1e-6), 8);
  const q = cast(clamp(round(div(w, scale)), -8, 7), int8);
  const parts = {
    qdata: packInt4(reshape(q, [N, K])),
    scale: transpose(cast(reshape(scale, [N, -1]), weight.dtype), 0, 1),
    zero_point: zeros(weight.rt, [K / groupSize, N], { dtype: weight.dtype, device: weight.device }),
  };
  const attrs = { blockSize: [1, groupSize], activationDtype: 'float8_e4m3fn', activation: 'exact' } as const;
  return int4Kind.make(parts, attrs, weight.shape, weight.dtype);
}

function dynamic(config: Float8DynamicActivationInt4WeightConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const problem = checkMatrix(info, GROUP, [], 'use int4WeightOnly({ groupSize: 64 }), which has other groups');
  if (problem !== undefined) return problem;
  const [n, k] = info.shape as [number, number];
  return {
    scheme: float8DynamicActivationInt4WeightSpec.scheme(config),
    bits: 4,
    bytes: (n * k) / 2 + 2 * (info.dtype === 'float32' ? 4 : 2) * n * (k / GROUP),
    activation: 'float8-token',
    emulated: emulated('float8 with int4'),
    quantize: (weight) => int4Float8FromHp(weight),
  };
}

const makeEntries = (): readonly Entry[] => [
  ...int4KindEntries(),
  ...schemeEntries(float8DynamicActivationInt4WeightSpec, ofStacks(dynamic)),
];

const entries = /*@__PURE__*/ makeEntries();

/** float8DynamicActivationInt4Weight as an extension. */
export const float8DynamicInt4 = (): Extension => ({ name: '@ao/quantization/float8-dynamic-int4', entries });
