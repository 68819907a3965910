// What quantize_ and sparsify_ make of a weight by semiSparseWeight: a Sparse24Tensor, its values quantized where that is asked for.
import { answer, type Dense, type Entry, type Runtime } from '@ao/core';
import {
  type AoConfig,
  checkMatrix,
  isProblem,
  planTensor,
  planTrait,
  specTrait,
  type TensorPlan,
  type TensorProblem,
  type WeightInfo,
} from '@ao/quantization';
import { blockSparseWeightSpec, type SemiSparseWeightConfig, semiSparseWeightSpec } from './config/configs.ts';
import { sparse24Tensor } from './sparse24/sparse24-tensor.ts';

/** Configs whose codes of 0 are the value 0, so that columns which are left out stay 0. */
const WITHOUT_ZERO_POINTS = [
  'Int8WeightOnlyConfig',
  'Int8DynamicActivationInt8WeightConfig',
  'IntxWeightOnlyConfig',
  'Float8WeightOnlyConfig',
  'Float8DynamicActivationFloat8WeightConfig',
];

function unfit(values: AoConfig): TensorProblem | undefined {
  const symmetric = ((values as { mappingType?: string }).mappingType ?? 'SYMMETRIC') === 'SYMMETRIC';
  if (WITHOUT_ZERO_POINTS.includes(values.type) && symmetric) return undefined;
  const fix = `use int4WeightOnlySemiSparseWeight(), or one of ${WITHOUT_ZERO_POINTS.join(', ')}, symmetric`;
  return { problem: `the kept values cannot be quantized by ${values.type}, which has zero points`, fix };
}

function semiSparsePlan(config: SemiSparseWeightConfig, info: WeightInfo, rt: Runtime): TensorPlan | TensorProblem {
  const problem = checkMatrix(info, null, [], '');
  if (problem !== undefined) return problem;
  const [N, K] = info.shape as [number, number];
  if (K % 8 !== 0) return { problem: `${K} columns are no multiple of 8`, fix: 'leave it out by a rule with null' };
  const scheme = semiSparseWeightSpec.scheme(config);
  const meta = (N * K) / 8;
  const { values = null } = config;
  if (values === null) {
    const itemsize = info.dtype === 'float32' ? 4 : 2;
    const bytes = (N * K * itemsize) / 2 + meta;
    return { scheme, bits: 8 * itemsize, bytes, activation: 'exact', quantize: (w) => sparse24Tensor(w) };
  }
  const inner = unfit(values) ?? planTensor(rt, values, { ...info, shape: [N, K / 2] });
  if (isProblem(inner)) return inner;
  return {
    ...inner,
    scheme,
    bytes: inner.bytes + meta,
    quantize: (w: Dense) => sparse24Tensor(w, (kept) => inner.quantize(kept)),
  };
}

export const schemeEntries = (): readonly Entry[] => [
  answer(planTrait, semiSparseWeightSpec, semiSparsePlan),
  answer(specTrait, semiSparseWeightSpec, () => semiSparseWeightSpec),
  answer(planTrait, blockSparseWeightSpec, () => ({
    problem: 'which blocks hold values has to be read first',
    fix: 'call sparsify_(model, blockSparseWeight())',
  })),
  answer(specTrait, blockSparseWeightSpec, () => blockSparseWeightSpec),
];
