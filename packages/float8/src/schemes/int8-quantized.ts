// int8 quantized training (torchao's Int8WeightOnlyQuantizedTrainingConfig): a weight that is int8 rows from step to step, W = q s, rounded at
// random after each optimizer's step so that small updates count in the mean. The rows are kept decoded, so that optimizers need not know.
import { cast, copy_, type Dense, empty, float32, type Module, mul, scope, type Tensor } from '@ao/core';
import { noGrad, uniform_ } from '@ao/core/autograd';
import { plainMm } from '../ops/products.ts';
import { trainingTensors } from '../swap-linears.ts';
import { schemeOf, type TrainingScheme } from '../training-linear.ts';
import { quantizeInt8Rowwise } from './int8-rows.ts';

export interface Int8WeightOnlyQuantizedTrainingConfig {
  readonly type: 'Int8WeightOnlyQuantizedTrainingConfig';
  /** Of the random rounding. */
  readonly seed: number;
}

export const int8WeightOnlyQuantizedTraining = ({ seed = 0 } = {}): Int8WeightOnlyQuantizedTrainingConfig => ({
  type: 'Int8WeightOnlyQuantizedTrainingConfig',
  seed,
});

export const int8QuantizedScheme = (): TrainingScheme =>
  schemeOf({
    output: (x, w) => plainMm(x, cast(w, x.dtype), 'output'),
    gradInput: (g, w) => plainMm(g, cast(w, g.dtype), 'gradInput'),
    gradWeight: (g, x) => plainMm(g, x, 'gradWeight'),
  });

/** The values of w's int8 rows, to the nearest or at random by `noise`. */
export function int8Values(w: Tensor, noise?: Tensor): Dense {
  const { codes, scale } = quantizeInt8Rowwise(w, noise === undefined ? {} : { noise });
  return cast(mul(cast(codes, w.dtype), scale), w.dtype) as Dense;
}

/**
 * Rounds the weights of Int8WeightOnlyQuantizedTrainingConfig at random, in place: call it after every optimizer.step(), inside a captured
 * step too. Returns how many there are.
 */
export function requantize_(model: Module): number {
  const found = trainingTensors(model).filter(
    ([, t]) => t.attrs.config.type === 'Int8WeightOnlyQuantizedTrainingConfig',
  );
  noGrad(() =>
    scope(() => {
      for (const [, { weight, generator }] of found) {
        const blank = empty(weight.rt, weight.shape, { dtype: float32, device: weight.device });
        copy_(weight, int8Values(weight, uniform_(blank, 0, 1, generator!)));
      }
    }),
  );
  return found.length;
}
