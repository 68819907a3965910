// eXmY weights of 3 to 8 bits on FloatxTensor.
import { chooseQparamsAffineFloatx, type Dense, type Entry, type Extension, quantizeAffineFloatx } from '@ao/core';
import { type FPXWeightOnlyConfig, fpxWeightOnlySpec } from '../config/fpx-weight-only.ts';
import { type FloatxTensor, floatxKind, floatxKindEntries } from '../kinds/floatx-tensor.ts';
import { checkMatrix, schemeEntries, type TensorPlan, type TensorProblem, type WeightInfo } from '../quantize/trait.ts';

/** One scale a row, so that the largest value of a row is the largest of eXmY. */
export function floatxFromHp(weight: Dense, ebits: number, mbits: number): FloatxTensor {
  const scale = chooseQparamsAffineFloatx(weight, ebits, mbits);
  const qdata = quantizeAffineFloatx(weight, scale, ebits, mbits);
  return floatxKind.make({ qdata, scale }, { ebits, mbits }, weight.shape, weight.dtype);
}

function weightOnly(config: FPXWeightOnlyConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const problem = checkMatrix(info, null, [], '');
  if (problem !== undefined) return problem;
  const [n, k] = info.shape as [number, number];
  const { ebits, mbits } = config;
  const bits = 1 + ebits + mbits;
  return {
    scheme: fpxWeightOnlySpec.scheme(config),
    bits,
    bytes: n * Math.ceil((k * bits) / 8) + n * (info.dtype === 'float32' ? 4 : 2),
    activation: 'exact',
    quantize: (weight) => floatxFromHp(weight, ebits, mbits),
  };
}

const makeEntries = (): readonly Entry[] => [...floatxKindEntries(), ...schemeEntries(fpxWeightOnlySpec, weightOnly)];

const entries = /*@__PURE__*/ makeEntries();

/** fpxWeightOnly as an extension. */
export const fpx = (): Extension => ({ name: '@ao/quantization/fpx', entries });
