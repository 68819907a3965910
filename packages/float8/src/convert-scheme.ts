// The other ways of training in low precision as configs: what each makes of a linear's weight, for convertToTraining and quantize_.
import { AoError, answer, type Dense, type Entry, int32, Linear, type Module, tensor } from '@ao/core';
import { planTrait, type TensorPlan, type TensorProblem, type WeightInfo } from '@ao/quantization';
import { type BitNetTrainingConfig, bitnetScheme } from './schemes/bitnet.ts';
import { BLOCKWISE, type Float8BlockwiseLinearConfig, float8BlockwiseScheme } from './schemes/float8-blockwise.ts';
import { type Int8MixedPrecisionTrainingConfig, int8MixedPrecisionScheme } from './schemes/int8-mixed-precision.ts';
import {
  type Int8WeightOnlyQuantizedTrainingConfig,
  int8QuantizedScheme,
  int8Values,
} from './schemes/int8-quantized.ts';
import { type MXFP8TrainingConfig, mxfp8Block, mxfp8Scheme } from './schemes/mxfp8.ts';
import { hadamard, NVFP4_BLOCK, type NVFP4TrainingConfig, nvfp4Scheme } from './schemes/nvfp4.ts';
import { type ModuleFilterFn, swapLinears } from './swap-linears.ts';
import type { TrainingScheme } from './training-linear.ts';
import { type TrainingParts, type TrainingTensor, trainingTensor } from './training-tensor.ts';

export type TrainingConfig =
  | MXFP8TrainingConfig
  | Float8BlockwiseLinearConfig
  | NVFP4TrainingConfig
  | Int8MixedPrecisionTrainingConfig
  | Int8WeightOnlyQuantizedTrainingConfig
  | BitNetTrainingConfig;

type Type = TrainingConfig['type'];

interface Way<C> {
  readonly name: string;
  /** Sizes of a weight are multiples of it. */
  readonly block: number;
  /** What the tensor has beside its weight. */
  parts?(config: C, weight: Dense): TrainingParts;
  /** What the weight becomes at once; itself unless given. */
  values?(weight: Dense): Dense;
  scheme(config: C, t: TrainingTensor): TrainingScheme;
}

const generatorOf = ({ rt, device }: Dense, seed: number): Dense =>
  tensor(rt, [seed, 0], { dtype: int32, device }) as Dense;

type Ways = { readonly [T in Type]: Way<Extract<TrainingConfig, { type: T }>> };

const WAYS: Ways = /*@__PURE__*/ Object.freeze({
  MXFP8TrainingConfig: { name: 'mxfp8', block: mxfp8Block, scheme: mxfp8Scheme },
  Float8BlockwiseLinearConfig: { name: 'float8_blockwise', block: BLOCKWISE, scheme: float8BlockwiseScheme },
  NVFP4TrainingConfig: {
    name: 'nvfp4',
    block: NVFP4_BLOCK,
    parts: (c: NVFP4TrainingConfig, weight: Dense) => ({
      rotation: hadamard(weight, c.rhtSignVector),
      ...(c.seed !== null && { generator: generatorOf(weight, c.seed) }),
    }),
    scheme: (_: NVFP4TrainingConfig, t: TrainingTensor) => nvfp4Scheme(t.rotation!, t.generator),
  },
  Int8MixedPrecisionTrainingConfig: { name: 'int8_mixed_precision', block: 1, scheme: int8MixedPrecisionScheme },
  Int8WeightOnlyQuantizedTrainingConfig: {
    name: 'int8_weight_only',
    block: 1,
    parts: (c: Int8WeightOnlyQuantizedTrainingConfig, weight: Dense) => ({ generator: generatorOf(weight, c.seed) }),
    values: int8Values,
    scheme: int8QuantizedScheme,
  },
  BitNetTrainingConfig: { name: 'bitnet', block: 1, scheme: bitnetScheme },
});

const wayOf = (config: TrainingConfig): Way<TrainingConfig> => WAYS[config.type] as unknown as Way<TrainingConfig>;

function problemOf(config: TrainingConfig, shape: readonly number[]): string | undefined {
  const { block } = wayOf(config);
  return shape.every((n) => n % block === 0) ? undefined : `has sizes that ${block} does not divide`;
}

function madeOf(config: TrainingConfig, weight: Dense, fqn: string): TrainingTensor {
  const way = wayOf(config);
  const start = way.values?.(weight) ?? weight;
  return trainingTensor(start, { config, fqn, scheme: (t) => way.scheme(config, t) }, way.parts?.(config, weight));
}

/**
 * A model's linears multiply as the config says, forward and backward, in place; a root linear stays itself. Throws ERR_AO_SHAPE naming
 * every weight that does not fit, before any work. `quantize_(model, config)` does the same.
 */
export function convertToTraining<M extends Module>(
  model: M,
  config: TrainingConfig,
  { moduleFilterFn }: { readonly moduleFilterFn?: ModuleFilterFn } = {},
): M {
  if (!Object.hasOwn(WAYS, config.type)) {
    throw new AoError('ERR_AO_CONFIG', `${config.type} is no way of training`, {
      fix: `use one of ${Object.keys(WAYS).join(', ')}; float8 recipes are convertToFloat8Training's`,
    });
  }
  return swapLinears(model, {
    moduleFilterFn,
    problem: (shape) => problemOf(config, shape),
    make: (weight, fqn) => madeOf(config, weight, fqn),
    module: Linear,
  });
}

function plan(config: TrainingConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const problem = problemOf(config, info.shape);
  if (problem !== undefined) return { problem, fix: 'leave it out by filterFn or a rule with null' };
  const bytes = info.dtype === 'float32' ? 4 : 2;
  return {
    scheme: `training:${wayOf(config).name}`,
    bits: 8 * bytes,
    bytes: info.shape.reduce((a, b) => a * b, bytes),
    activation: 'emulated',
    trained: true,
    quantize: (weight) => madeOf(config, weight, ''),
  };
}

export const trainingConfigEntries = (): readonly Entry[] =>
  (Object.keys(WAYS) as Type[]).map((type) =>
    answer(planTrait, { type }, (config: TrainingConfig, info: WeightInfo) => plan(config, info)),
  );
