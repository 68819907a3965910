// Linear layers of a mixture of experts: each row of x meets the weights of the experts that were chosen for it.
import { int32 } from '../dtypes/index.ts';
import { defineOp } from '../op.ts';
import { scope } from '../scope.ts';
import type { Tensor } from '../tensor.ts';
import { eq, where } from './binary.ts';
import { requireDtype, requireFloat, requireNdim, requireSameDtype, requireShape, shapeError } from './checks.ts';
import { linear } from './matmul.ts';
import { unsqueeze } from './views.ts';

/**
 * out[t, s] = x[t, s] w[index[t, s]]^T: x [T, S, K], or [T, 1, K] where a token's slots share it; E weights [N, K], packed
 * or not; index int32 [T, S] -> [T, S, N]. Where all weights are packed a backend reads only those that were chosen;
 * elsewhere all E products are computed.
 */
export const linearExperts = /*@__PURE__*/ defineOp<[x: Tensor, ws: readonly Tensor[], index: Tensor]>(
  'linear_experts',
  {
    weightArg: 1,
    meta(x, ws, index) {
      const first = ws[0];
      if (first === undefined) throw shapeError('linear_experts', 'there are no experts', 'give one weight for each');
      requireFloat('linear_experts', 'x', x);
      requireNdim('linear_experts', 'x', x, 3);
      requireDtype('linear_experts', 'index', index, [int32]);
      requireNdim('linear_experts', 'index', index, 2);
      const [t, s] = index.shape as [number, number];
      const [n, k] = first.shape as [number, number];
      requireShape('linear_experts', 'x', x, [t, x.shape[1] === 1 ? 1 : s, k]);
      for (const [e, w] of ws.entries()) {
        requireShape('linear_experts', `weight ${e}`, w, [n, k]);
        requireSameDtype('linear_experts', ['x', x], [`weight ${e}`, w]);
      }
      return { shape: [t, s, n], dtype: x.dtype };
    },
    decompose: (x, ws, index) =>
      scope(() => {
        const chosen = unsqueeze(index, 2);
        return ws.reduce<Tensor | number>((out, w, e) => where(eq(chosen, e), linear(x, w), out), 0) as Tensor;
      }),
  },
);
