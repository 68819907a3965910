// The gradient of broadcasting: sums over the dimensions that were repeated.
import { cast } from '../ops/copy.ts';
import { sum } from '../ops/reduce.ts';
import { reshape } from '../ops/views.ts';
import type { Tensor } from '../tensor.ts';

/** g summed to x's shape, in x's dtype. */
export function unbroadcast(
  g: Tensor,
  x: { readonly shape: readonly number[]; readonly dtype: Tensor['dtype'] },
): Tensor {
  const lead = g.ndim - x.shape.length;
  let out = g;
  if (x.shape.every((n) => n === 1)) out = reshape(sum(out), [...x.shape]);
  else {
    if (lead > 0) out = sum(reshape(out, [-1, ...g.shape.slice(lead)]), 0);
    for (const [d, n] of x.shape.entries()) if (n === 1 && out.shape[d] !== 1) out = sum(out, d, true);
  }
  return cast(out, x.dtype);
}
