// halvedSum(x): the sum over x's last dimension by halves: x[i] + x[i + ceil(n / 2)], again and again, an odd one waits. Additions element by
// element have the same bits on every backend, where `sum` has an order of each backend's own: for what is kept as bytes.
import type { Tensor } from '../tensor.ts';
import { add } from './binary.ts';
import { cat } from './copy.ts';
import { slice } from './views.ts';

/** x [..., n] -> [..., 1]. */
export function halvedSum(x: Tensor): Tensor {
  let s = x;
  for (let n = s.shape.at(-1)!; n > 1; n = s.shape.at(-1)!) {
    const half = Math.ceil(n / 2);
    const pairs = add(slice(s, -1, 0, n - half), slice(s, -1, half, n));
    s = 2 * half === n ? pairs : cat([pairs, slice(s, -1, n - half, half)], -1);
  }
  return s;
}
