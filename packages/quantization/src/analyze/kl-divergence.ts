// KL(p || q) = sum p (log p - log q) of rows of log-probabilities, as sum p (e^d - 1 - d) with d = log q - log p: the same, since
// p and q both sum to 1, but every term is at least 0, so that float32 keeps what is small:
//   e^d - 1 - d = d^2 (1/2 + d/6 + d^2/24 + d^3/120) for |d| < 0.1
import { add, exp, lt, mul, scope, sub, sum, type Tensor, where } from '@ao/core';

/** log p and log q, float32 [N, V] -> nats, float32 [N]. */
export function klDivergence(p: Tensor, q: Tensor): Tensor {
  return scope(() => {
    const d = sub(q, p);
    const square = mul(d, d);
    const series = [1 / 24, 1 / 6, 1 / 2].reduce<Tensor | number>(
      (y, c) => add(mul(d, y as Tensor), c),
      1 / 120,
    ) as Tensor;
    const terms = where(lt(square, 0.01), mul(square, series), sub(sub(exp(d), 1), d));
    return sum(mul(exp(p), terms), -1);
  });
}
