// Plans of stacks: a weight [E, N, K] of E experts is quantized as the matrix [E N, K] of all their rows, which is what torchao
// computes for 3-D parameters; the kind's `reshape` then gives its parts the leading dimension. `select(w, 0, e)` is one expert.
import { type Dense, reshape } from '@ao/core';
import { isProblem, type TensorPlan, type TensorProblem, type WeightInfo } from './trait.ts';

type Answer<C> = (config: C, info: WeightInfo) => TensorPlan | TensorProblem;

/** `plan` of matrices for stacks too, save for configs where `instead` says why not. */
export const ofStacks =
  <C>(plan: Answer<C>, instead: (config: C) => TensorProblem | undefined = () => undefined): Answer<C> =>
  (config, info) => {
    const { shape } = info;
    const [experts = 0, rows = 0, columns = 0] = shape;
    if (shape.length !== 3) return plan(config, info);
    const matrix = [experts * rows, columns];
    const found = instead(config) ?? plan(config, { ...info, shape: matrix });
    if (isProblem(found)) return found;
    return { ...found, quantize: (weight) => reshape(found.quantize(reshape(weight, matrix) as Dense), shape) };
  };
