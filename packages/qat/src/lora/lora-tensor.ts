// LoraTensor: a frozen weight of any kind with a trained change of low rank, in the weight's place (Hu et al. 2021):
//   y = x W^T + s (x A^T) B^T                    A [r, K], B [N, r], s the scaling; W packed or quantized stays as it is
//   DoRA: y = (m / |W + s B A|) (x W^T + s (x A^T) B^T), |.| the length of each row, held constant by gradients
// The length needs no dense W: |W + s B A|^2 = |W|^2 + 2 s rowsum(B (W A^T)) + s^2 rowsum((B A A^T) B).
import {
  AoError,
  add,
  cast,
  clamp,
  defineKind,
  div,
  type Entry,
  float32,
  type KindOf,
  kindEntry,
  linear,
  matmul,
  mul,
  override,
  reshape,
  scope,
  sqrt,
  sum,
  type Tensor,
  transpose,
  type WrappedOf,
} from '@ao/core';
import { linearGradInput, noGrad } from '@ao/core/autograd';

type Part = 'base' | 'lora_A' | 'lora_B';
type Extra = 'magnitude' | 'squares';

export interface LoraAttrs {
  readonly scaling: number;
  /** What happens to the adapter's input: dropout, while training. */
  readonly input?: ((x: Tensor) => Tensor) | undefined;
}

export type LoraTensor = WrappedOf<Part, Extra, LoraAttrs>;

export const loraKind: KindOf<Part, Extra, LoraAttrs> = /*@__PURE__*/ defineKind('lora', {
  parts: ['base', 'lora_A', 'lora_B'],
  optional: ['magnitude', 'squares'],
  attrs: (value): LoraAttrs => {
    const { scaling } = value as LoraAttrs;
    if (Number.isFinite(scaling)) return value as LoraAttrs;
    throw new AoError('ERR_AO_FORMAT', `a LoRA of scaling ${scaling}`, { fix: 'give a number' });
  },
  /** The merged weight. */
  dequantize: (t: LoraTensor) => scope(() => cast(mergedWeight(t), t.dtype)),
});

/** W + s B A, by rows of length m where there is a magnitude; float32 [N, K]. */
export function mergedWeight(t: LoraTensor): Tensor {
  return scope(() => {
    const change = mul(matmul(t.lora_B, t.lora_A), t.attrs.scaling);
    const merged = add(cast(t.rt.dequantize(t.base), float32), change);
    const scale = rowScale(t);
    return scale === undefined ? merged : mul(merged, reshape(scale, [-1, 1]));
  });
}

/** The lengths of W's rows, squared, float32 [N]: DoRA's constant. */
export const rowSquares = (w: Tensor): Tensor =>
  scope(() => {
    const values = cast(w.rt.dequantize(w), float32);
    return sum(mul(values, values), 1);
  });

/** m / |W + s B A| by row, float32 [N]; undefined without a magnitude. */
function rowScale(t: LoraTensor): Tensor | undefined {
  const { magnitude, squares, lora_A: a, lora_B: b, base } = t;
  if (magnitude === undefined || squares === undefined) return undefined;
  const s = t.attrs.scaling;
  const lengths = noGrad(() => {
    const wa = transpose(cast(linear(cast(a, base.dtype), base), float32), 0, 1);
    const cross = sum(mul(b, wa), 1);
    const own = sum(mul(matmul(b, matmul(a, transpose(a, 0, 1))), b), 1);
    return sqrt(clamp(add(squares, add(mul(cross, 2 * s), mul(own, s * s))), 0, Number.POSITIVE_INFINITY));
  });
  return div(magnitude, lengths);
}

/** x [..., K] -> [..., N] in x's dtype; the adapter computes in its own. */
function adapted(x: Tensor, t: LoraTensor, bias: Tensor | undefined): Tensor {
  const { base, lora_A: a, lora_B: b, attrs } = t;
  const seen = attrs.input?.(x) ?? x;
  const low = linear(linear(cast(seen, a.dtype), a), b);
  const scale = rowScale(t);
  if (scale === undefined) return add(linear(x, base, bias), cast(mul(low, attrs.scaling), x.dtype));
  const plain = cast(linear(x, base), float32);
  const y = cast(mul(add(plain, mul(low, attrs.scaling)), scale), x.dtype);
  return bias === undefined ? y : add(y, bias);
}

/** What LoRA needs of a runtime. */
export const loraEntries = (): readonly Entry[] => [
  kindEntry(loraKind),
  override(linear, 1, loraKind, (x, w, b) => scope(() => adapted(x, w as LoraTensor, b))),
  // for adapters that are frozen: the base keeps its low-bit kernel
  override(linearGradInput, 1, loraKind, (g, w) =>
    scope(() => {
      const t = w as LoraTensor;
      const scale = rowScale(t);
      const seen = scale === undefined ? g : cast(mul(cast(g, float32), scale), g.dtype);
      const low = mul(matmul(matmul(cast(seen, t.lora_B.dtype), t.lora_B), t.lora_A), t.attrs.scaling);
      return add(linearGradInput(seen, t.base), cast(low, g.dtype));
    }),
  ),
];
