// y = fq(x) fq(W)^T + b as one op. Forward runs what the converted model will run, so that their bits are equal; backward is straight
// through: g_x = fq'(g fq(W)), g_W = fq'(g^T fq(x)), both rounded operands found again rather than kept.
import {
  type Dense,
  defineOp,
  type Entry,
  float32,
  linear,
  linearWeight,
  reshape,
  scope,
  sum,
  type Tensor,
  type Wrapped,
} from '@ao/core';
import { linearGradInput, linearGradWeight, vjp } from '@ao/core/autograd';
import type { FakeQuantizer } from './fake-quantize/fake-quantizer.ts';

export interface LinearScheme {
  readonly activation: FakeQuantizer | null;
  readonly weight: FakeQuantizer | null;
  /** Quantizes as converting will, where forward has to run on that. */
  readonly quantize: ((w: Dense) => Tensor) | null;
  /** float32 weights need not, their rounded values give the same bits. */
  readonly float32Alike: boolean;
}

const rounded = (x: Tensor, by: FakeQuantizer | null): Tensor => by?.forward(x) ?? x;

/** The quantized weight's own product, on devices that pack as its packed form gives it. */
function converted(x: Tensor, w: Tensor, b: Tensor | undefined): Tensor {
  const parts = x.rt.packer(x.device) && (w as Wrapped).kind.spec.weight?.(w as never);
  if (parts == null || 'table' in parts.format) return linear(x, w, b);
  return linearWeight(x, parts.codes, parts.scale, parts.zero, b, parts.format);
}

/** x [..., K], weight [N, K], b [N] -> [..., N]; equal float dtypes. */
export const fakeQuantizedLinear = /*@__PURE__*/ defineOp<
  [x: Tensor, weight: Tensor, b: Tensor | undefined, scheme: LinearScheme]
>('fake_quantized_linear', {
  meta: (x, w, b) => linear.spec.meta(x, w, b),
  decompose: (x, w, b, { activation, weight, quantize, float32Alike }) =>
    scope(() =>
      quantize === null || (float32Alike && w.dtype === float32)
        ? linear(rounded(x, activation), rounded(w, weight), b)
        : converted(x, quantize(w as Dense), b),
    ),
});

const by = (quantizer: FakeQuantizer | null, g: Tensor, x: Tensor): Tensor => quantizer?.backward(g, x) ?? g;

export const fakeQuantizedLinearRule = (): Entry =>
  vjp(fakeQuantizedLinear, ({ needs, save }, _, x, w, b, { activation, weight }) => {
    const [input, own] = [save(x), save(w)];
    return (g) => [
      needs(0) ? by(activation, linearGradInput(g, rounded(own(), weight)), input()) : null,
      needs(1) ? by(weight, linearGradWeight(g, rounded(input(), activation)), own()) : null,
      needs(2) && b !== undefined ? sum(reshape(g, [-1, b.shape[0]!]), 0) : null,
      null,
    ];
  });
