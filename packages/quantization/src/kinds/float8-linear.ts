// linear and embedding on a Float8Tensor. Weight-only: by its dequantized values, or packed codes. With float8 activations
//   y = (values of q_x * s_x) (values of q_w * s_w)^T + b, in float32, then in x's dtype
// by core's scaledMm where scales are of rows or of the whole; by other blocks both sides are decoded and the product is float32.
import {
  add,
  cast,
  type DType,
  dequantizeAffineFloat8,
  dtypeByName,
  type Entry,
  float32,
  kindEntry,
  linear,
  linears,
  override,
  reshape,
  scaledMm,
  scope,
  type Tensor,
  viewDtype,
} from '@ao/core';
import { blockSizeOf } from '../config/granularity.ts';
import { alias, copyOverrides, cut, mapParts, rebuild, stackOverrides } from './blocks.ts';
import { type Float8Activation, quantizeActivationFloat8, roundToFloat8 } from './float8-activation.ts';
import { type Float8Tensor, float8Codes, float8Kind } from './float8-tensor.ts';
import { cropped, padded } from './short-blocks.ts';
import { tableOverrides } from './table-weight.ts';

/** x w^T in `outDtype` of x [M, K] in float8. */
function product({ qdata, scale }: Float8Activation, w: Float8Tensor, outDtype: DType): Tensor {
  const byRows = (q: Tensor, s: Tensor): boolean =>
    s.ndim === 2 && s.shape[1] === 1 && [1, q.shape[0]].includes(s.shape[0]);
  if (byRows(qdata, scale) && byRows(w, w.scale)) {
    const useFastAccum = w.attrs.mmConfig?.useFastAccum ?? false;
    return scaledMm(qdata, scale, w.qdata, w.scale, { outDtype, useFastAccum });
  }
  const values = (q: Tensor, s: Tensor, blockSize: readonly number[]): Tensor =>
    cropped(dequantizeAffineFloat8(padded(q, blockSize), s), q.shape);
  const x = values(qdata, scale, blockSizeOf(qdata.shape, w.attrs.actQuantKwargs!.granularity));
  return cast(linear(x, values(w.qdata, w.scale, w.attrs.blockSize)), outDtype);
}

/** The product where w says how activations are quantized, else null; `shared` is x so quantized. */
function float8Linear(x: Tensor, w: Float8Tensor, b: Tensor | undefined, shared?: Float8Activation): Tensor | null {
  const kwargs = w.attrs.actQuantKwargs;
  if (kwargs === null) return null;
  const [N, K] = w.shape as [number, number];
  const act = shared ?? quantizeActivationFloat8(reshape(x, [-1, K]), kwargs, w.act_quant_scale);
  let y = b === undefined ? product(act, w, x.dtype) : cast(add(product(act, w, float32), cast(b, float32)), x.dtype);
  if (w.output_act_quant_scale !== undefined) y = roundToFloat8(y, kwargs, x.dtype, w.output_act_quant_scale);
  return reshape(y, [...x.shape.slice(0, -1), N]);
}

/** linear by each weight; x is quantized once where all ask for the same. */
function float8Linears(x: Tensor, ws: readonly Tensor[], bs: readonly (Tensor | undefined)[]): Tensor[] {
  const asked = ws.map((w) =>
    float8Kind.is(w) && w.act_quant_scale === undefined ? JSON.stringify(w.attrs.actQuantKwargs) : 'null',
  );
  if (asked[0] === 'null' || asked.some((a) => a !== asked[0])) return ws.map((w, i) => linear(x, w, bs[i]));
  const ts = ws as unknown as readonly Float8Tensor[];
  const act = quantizeActivationFloat8(reshape(x, [-1, ts[0]!.shape[1]!]), ts[0]!.attrs.actQuantKwargs!);
  return ts.map((w, i) => float8Linear(x, w, bs[i], act)!);
}

const makeEntries = (): readonly Entry[] => [
  kindEntry(float8Kind),
  ...tableOverrides<Float8Tensor>(float8Kind, {
    codes: float8Codes,
    decode: (codes, t) => cast(viewDtype(codes, dtypeByName(t.attrs.float8Dtype)), float32),
    linear: (x, w, b) => float8Linear(x, w, b),
  }),
  override(linears, 1, float8Kind, (x, ws, bs = []) => scope(() => float8Linears(x, ws, bs))),
  ...stackOverrides(float8Kind, ['qdata', 'scale']),
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
