// linear and embedding on a Float8Tensor. Weight-only: by its dequantized values, or packed codes. With float8 activations no
// kernel here multiplies float8, so both sides are decoded and the product is float32, which is what torch's kernels sum in:
//   y = (values of q_x * s_x) (values of q_w * s_w)^T + b, in float32, then in x's dtype
import {
  add,
  cast,
  chooseScaleFloat8,
  dequantizeAffineFloat8,
  dtypeByName,
  type Entry,
  float32,
  kindEntry,
  linear,
  quantizeAffineFloat8,
  reshape,
  type Tensor,
  viewDtype,
} from '@ao/core';
import { blockSizeOf } from '../config/granularity.ts';
import { alias, copyOverrides, cut, mapParts, rebuild } from './blocks.ts';
import type { QuantizeTensorToFloat8Kwargs } from './float8-attributes.ts';
import { type Float8Tensor, float8Kind, float8Weight } from './float8-tensor.ts';
import { cropped, padded } from './short-blocks.ts';
import { tableOverrides } from './table-weight.ts';

export interface Float8Activation {
  readonly qdata: Tensor;
  /** float32, by the blocks of the granularity. */
  readonly scale: Tensor;
}

/** x [M, K] in float8 as torchao's Float8Tensor.from_hp makes it; a given scale [1, 1] is a static one. */
export function quantizeActivationFloat8(
  x: Tensor,
  kwargs: QuantizeTensorToFloat8Kwargs,
  scale?: Tensor,
): Float8Activation {
  const dtype = dtypeByName(kwargs.float8Dtype);
  const blockSize = blockSizeOf(x.shape, kwargs.granularity);
  const whole = padded(x, blockSize);
  const { hpValueLb, hpValueUb } = kwargs;
  const s = scale ?? chooseScaleFloat8(whole, blockSize, dtype, { hpValueLb, hpValueUb });
  return { qdata: cropped(quantizeAffineFloat8(whole, s, dtype), x.shape), scale: s };
}

/** The values x has once it is rounded to float8, float32. */
function rounded(x: Tensor, kwargs: QuantizeTensorToFloat8Kwargs, scale?: Tensor): Tensor {
  const { qdata, scale: s } = quantizeActivationFloat8(x, kwargs, scale);
  const blockSize = blockSizeOf(x.shape, kwargs.granularity);
  return cropped(dequantizeAffineFloat8(padded(qdata, blockSize), s), x.shape);
}

function float8Linear(x: Tensor, w: Float8Tensor, b: Tensor | undefined): Tensor | null {
  const kwargs = w.attrs.actQuantKwargs;
  if (kwargs === null) return null;
  const [N, K] = w.shape as [number, number];
  const x2 = reshape(x, [-1, K]);
  const q = padded(w.qdata, w.attrs.blockSize);
  const values = cropped(dequantizeAffineFloat8(q, w.scale), w.shape);
  const product = linear(rounded(x2, kwargs, w.act_quant_scale), values);
  let y = cast(b === undefined ? product : add(product, cast(b, float32)), x.dtype);
  if (w.output_act_quant_scale !== undefined) y = cast(rounded(y, kwargs, w.output_act_quant_scale), x.dtype);
  return reshape(y, [...x.shape.slice(0, -1), N]);
}

const makeEntries = (): readonly Entry[] => [
  kindEntry(float8Kind),
  ...tableOverrides<Float8Tensor>(float8Kind, {
    weight: float8Weight,
    decode: (codes, t) => cast(viewDtype(codes, dtypeByName(t.attrs.float8Dtype)), float32),
    linear: float8Linear,
  }),
  ...copyOverrides(float8Kind, (t, spanFor) => {
    const w = t as Float8Tensor;
    const { blockSize } = w.attrs;
    const span = spanFor((dim) => (w.scale.numel === 1 ? 1 : (blockSize[dim] as number)));
    const qdata = cut(w.qdata, span.dim, span, 1);
    const scale = cut(w.scale, span.dim, span, blockSize[span.dim] as number);
    const { shape } = qdata;
    const attrs = { ...w.attrs, blockSize: blockSize.map((size, i) => Math.min(size, shape[i] as number)) };
    return rebuild(w, { ...mapParts(w, alias), qdata, scale }, attrs, shape);
  }),
];

const entries = /*@__PURE__*/ makeEntries();

/** Float8Tensor for an extension: always the same entries, so that several schemes may give them. */
export const float8KindEntries = (): readonly Entry[] => entries;
