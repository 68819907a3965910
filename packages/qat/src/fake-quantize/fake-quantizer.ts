// A fake quantizer rounds values to those that codes can stand for, and says what its straight-through gradient is.
import { defineOp, type Entry, type Tensor } from '@ao/core';
import { vjp } from '@ao/core/autograd';

export interface FakeQuantizer {
  /** x -> x rounded, in its shape and dtype; not recorded. */
  forward(x: Tensor): Tensor;
  /** The gradient g by forward(x) -> by x. */
  backward(g: Tensor, x: Tensor): Tensor;
}

/** forward, with backward as its derivative. */
export const fakeQuantize = /*@__PURE__*/ defineOp<[x: Tensor, quantizer: FakeQuantizer]>('fake_quantize', {
  meta: (x) => ({ shape: x.shape, dtype: x.dtype }),
  decompose: (x, quantizer) => quantizer.forward(x),
});

export const fakeQuantizeRule = (): Entry =>
  vjp(fakeQuantize, (ctx, _, x, quantizer) => {
    const saved = ctx.save(x);
    return (g) => [quantizer.backward(g, saved()), null];
  });
