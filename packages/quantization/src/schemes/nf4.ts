// NF4 weights on NF4Tensor.
import type { Dense, Entry, Extension } from '@ao/core';
import { type NF4WeightOnlyConfig, nf4WeightOnlySpec } from '../config/nf4-weight-only.ts';
import { nf4Quantize } from '../formats/nf4.ts';
import { type NF4Tensor, nf4Kind, nf4KindEntries } from '../kinds/nf4-tensor.ts';
import { checkMatrix, schemeEntries, type TensorPlan, type TensorProblem, type WeightInfo } from '../quantize/trait.ts';

/** torchao's to_nf4; the last block, and the last block of scales, may be short. */
export function nf4FromHp(weight: Dense, blockSize = 64, scalerBlockSize = 256): NF4Tensor {
  const parts = nf4Quantize(weight, blockSize, scalerBlockSize);
  return nf4Kind.make({ ...parts }, { blockSize, scalerBlockSize }, weight.shape, weight.dtype);
}

function weightOnly(config: NF4WeightOnlyConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const problem = checkMatrix(info, null, [], '');
  if (problem !== undefined) return problem;
  const { blockSize, scalerBlockSize } = config;
  const numel = info.shape.reduce((a, b) => a * b, 1);
  const blocks = Math.ceil(numel / blockSize);
  const itemsize = info.dtype === 'float32' ? 4 : 2;
  return {
    scheme: nf4WeightOnlySpec.scheme(config),
    bits: 4,
    bytes: Math.ceil(numel / 2) + blocks + itemsize * (Math.ceil(blocks / scalerBlockSize) + 17),
    activation: 'exact',
    quantize: (weight) => nf4FromHp(weight, blockSize, scalerBlockSize),
  };
}

const makeEntries = (): readonly Entry[] => [...nf4KindEntries(), ...schemeEntries(nf4WeightOnlySpec, weightOnly)];

const entries = /*@__PURE__*/ makeEntries();

/** nf4WeightOnly as an extension. */
export const nf4 = (): Extension => ({ name: '@ao/quantization/nf4', entries });
