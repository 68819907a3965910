// int8 mixed-precision training (torchao's Int8MixedPrecisionTrainingConfig): both operands of a product are rounded to int8 by rows along
// the dimension that is summed over, the sums are int32.
import { cast, permute, type Tensor } from '@ao/core';
import { type Gemm, plainMm } from '../ops/products.ts';
import { schemeOf, type TrainingScheme } from '../training-linear.ts';
import { quantizeInt8Rowwise, scaledInt8Mm } from './int8-rows.ts';

export interface Int8MixedPrecisionTrainingConfig {
  readonly type: 'Int8MixedPrecisionTrainingConfig';
  /** Which products run in int8. */
  readonly output: boolean;
  readonly gradInput: boolean;
  readonly gradWeight: boolean;
}

export const int8MixedPrecisionTraining = (
  options: Partial<Omit<Int8MixedPrecisionTrainingConfig, 'type'>> = {},
): Int8MixedPrecisionTrainingConfig => ({
  type: 'Int8MixedPrecisionTrainingConfig',
  output: options.output ?? true,
  gradInput: options.gradInput ?? true,
  gradWeight: options.gradWeight ?? true,
});

const turned = (t: Tensor): Tensor => permute(t, [1, 0]);

/** a [M, K] b [N, K] -> a b^T. */
const int8Mm = (a: Tensor, b: Tensor): Tensor => scaledInt8Mm(quantizeInt8Rowwise(a), quantizeInt8Rowwise(b));

export function int8MixedPrecisionScheme(config: Int8MixedPrecisionTrainingConfig): TrainingScheme {
  const product = (gemm: Gemm, a: Tensor, b: Tensor): Tensor => {
    const same = cast(b, a.dtype);
    if (!config[gemm]) return plainMm(a, same, gemm);
    if (gemm === 'output') return int8Mm(a, same);
    if (gemm === 'gradInput') return int8Mm(a, turned(same));
    return turned(int8Mm(turned(same), turned(a)));
  };
  return schemeOf({
    output: (x, w) => product('output', x, w),
    gradInput: (g, w) => product('gradInput', g, w),
    gradWeight: (g, x) => product('gradWeight', g, x),
  });
}
