// BitNet b1.58 (Ma et al. 2024; torchao's BitNetTrainingConfig): the weight in -1, 0, 1 by the mean of its sizes, activations in int8 by rows:
//   t = mean |W|;  w = clamp(round(W / max(t, 1e-5)), -1, 1);  y = (q_x w^T) t s_x
//   g_x = (g w) t;  g_W = g^T (q_x s_x): straight through both roundings
import {
  abs,
  cast,
  clamp,
  type Dense,
  div,
  float32,
  int8,
  maximum,
  mean,
  mul,
  reshape,
  round,
  type Tensor,
} from '@ao/core';
import { plainMm } from '../ops/products.ts';
import { schemeOf, type TrainingScheme } from '../training-linear.ts';
import { type Int8Rows, quantizeInt8Rowwise, scaledInt8Mm } from './int8-rows.ts';

export interface BitNetTrainingConfig {
  readonly type: 'BitNetTrainingConfig';
}

export const bitnetTraining = (): BitNetTrainingConfig => ({ type: 'BitNetTrainingConfig' });

const EPS = 1e-5;

/** Ternary codes [N, K] and the scale of the tensor [1, 1] in w's dtype. */
function ternary(w: Tensor): Int8Rows {
  const values = cast(w, float32);
  const scale = reshape(mean(abs(values as Dense)), [1, 1]);
  const codes = cast(clamp(round(div(values, maximum(scale, EPS))), -1, 1), int8);
  return { codes, scale: cast(scale, w.dtype) };
}

export const bitnetScheme = (): TrainingScheme =>
  schemeOf({
    output: (x, w) => scaledInt8Mm(quantizeInt8Rowwise(x, { eps: EPS }), ternary(cast(w, x.dtype))),
    gradInput(g, w) {
      const { codes, scale } = ternary(cast(w, g.dtype));
      return cast(mul(plainMm(g, cast(codes, g.dtype), 'gradInput'), scale), g.dtype);
    },
    gradWeight(g, x) {
      const { codes, scale } = quantizeInt8Rowwise(x, { eps: EPS });
      return plainMm(g, cast(mul(cast(codes, x.dtype), scale), x.dtype), 'gradWeight');
    },
  });
