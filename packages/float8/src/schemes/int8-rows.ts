// int8 rows of quantized training (torchao's quantize_int8_rowwise), symmetric over -127..127:
//   s = amax(|row|) / 127 in x's dtype;  q = clamp(round(x (1 / max(s, eps))), -128, 127), in float32; stochastic: floor(x / s + u)
import {
  abs,
  add,
  amax,
  cast,
  clamp,
  type Dense,
  div,
  float32,
  floor,
  int8,
  intMm,
  maximum,
  mul,
  permute,
  round,
  type Tensor,
} from '@ao/core';

export interface Int8Rows {
  /** int8 [R, C]. */
  readonly codes: Tensor;
  /** [R, 1] in x's dtype. */
  readonly scale: Tensor;
}

/** `noise`: u in [0, 1) for each value, where rounding is stochastic. */
export function quantizeInt8Rowwise(
  x: Tensor,
  { eps = 1e-12, noise }: { eps?: number; noise?: Tensor } = {},
): Int8Rows {
  const scale = div(amax(abs(x as Dense), 1, true), 127);
  const values = mul(cast(x, float32), div(1, maximum(cast(scale, float32), eps)));
  const whole = noise === undefined ? round(values) : floor(add(values, noise));
  return { codes: cast(clamp(whole, -128, 127), int8), scale };
}

/** a [M, K] b [N, K] -> a b^T in the scales' dtype: int32 sums, times b's scale in float32, times a's; torch's eager fallback rounds the sums first. */
export function scaledInt8Mm(a: Int8Rows, b: Int8Rows): Tensor {
  const { dtype } = a.scale;
  const sums = cast(intMm(a.codes, b.codes), float32);
  const byColumn = cast(mul(sums, cast(permute(b.scale, [1, 0]), float32)), dtype);
  return cast(mul(byColumn, a.scale), dtype);
}
