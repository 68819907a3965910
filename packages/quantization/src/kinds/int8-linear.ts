// linear and embedding on an Int8Tensor. Weight-only: the weight's own format. With int8 activations, as torchao rounds:
//   y = (int32 sums * s_x -> dtype of x) * s_w, less zp_x * s_x * rowsum(q) before the last product where x is asymmetric
import {
  add,
  cast,
  chooseQparamsAffine,
  type Entry,
  embedding,
  embeddingWeight,
  float32,
  int8,
  intMm,
  kindEntry,
  linear,
  linearWeight,
  mul,
  override,
  quantizeAffine,
  reshape,
  scope,
  sub,
  sum,
  type Tensor,
} from '@ao/core';
import { blockSizeOf } from '../config/granularity.ts';
import type { QuantizeTensorToInt8Kwargs } from './attributes.ts';
import { alias, copyOverrides, cut, mapParts, rebuild, stackOverrides } from './blocks.ts';
import { type Int8Tensor, int8Kind, int8Weight } from './int8-tensor.ts';

export interface Int8Activation {
  readonly qdata: Tensor;
  /** float32, one per row, or one. */
  readonly scale: Tensor;
  readonly zeroPoint: Tensor;
}

const EPS = 2 ** -23;

/** x in int8 as torchao's Int8Tensor.from_hp makes it; a given scale is a static one. */
export function quantizeActivation(
  x: Tensor,
  kwargs: QuantizeTensorToInt8Kwargs,
  scale?: Tensor,
  zeroPoint?: Tensor,
): Int8Activation {
  const blockSize = blockSizeOf(x.shape, kwargs.granularity);
  const range = kwargs.reduceRange ? { quantMin: -64, quantMax: 63 } : { quantMin: -128, quantMax: 127 };
  let s = scale;
  let z = zeroPoint;
  if (s === undefined) {
    const options = { ...range, eps: EPS, scaleDtype: float32, zeroPointDtype: int8, keepdim: true };
    [s, z] = chooseQparamsAffine(x, kwargs.mappingType, blockSize, 'int8', options);
  }
  z ??= cast(mul(s, 0), int8);
  return { qdata: quantizeAffine(x, blockSize, s, z, 'int8', range), scale: s, zeroPoint: z };
}

function dynamicLinear(x: Tensor, w: Int8Tensor, kwargs: QuantizeTensorToInt8Kwargs, b: Tensor | undefined): Tensor {
  const act = quantizeActivation(x, kwargs, w.act_quant_scale, w.act_quant_zero_point);
  const xs = reshape(act.scale, [-1, 1]);
  const sums = cast(intMm(reshape(act.qdata, [-1, w.shape[1] as number]), w.qdata), float32);
  let y = cast(mul(sums, xs), x.dtype);
  if (kwargs.mappingType === 'ASYMMETRIC') {
    const shift = mul(cast(reshape(act.zeroPoint, [-1, 1]), float32), xs);
    y = sub(y, cast(mul(shift, cast(sum(w.qdata, -1), float32)), x.dtype));
  }
  const scaled = mul(y, reshape(w.scale, [-1]));
  const out = b === undefined ? scaled : add(scaled, b);
  return reshape(cast(out, x.dtype), [...x.shape.slice(0, -1), w.shape[0] as number]);
}

function int8Linear(input: Tensor, w: Int8Tensor, b: Tensor | undefined): Tensor {
  const x = w.act_pre_scale === undefined ? input : cast(mul(input, w.act_pre_scale), input.dtype);
  const { actQuantKwargs: kwargs } = w.attrs;
  const exactRow = kwargs?.weightOnlyDecode === true && x.numel === w.shape[1];
  if (kwargs !== null && !exactRow) return dynamicLinear(x, w, kwargs, b);
  const parts = int8Weight(w);
  if (parts === null) return linear(x, x.rt.dequantize(w), b);
  const format = exactRow ? ({ ...parts.format, activation: 'exact' } as const) : parts.format;
  return linearWeight(x, parts.codes, parts.scale, parts.zero, b, format);
}

/** Rows of the table, dequantized. */
function int8Embedding(w: Int8Tensor, indices: Tensor): Tensor {
  const parts = int8Weight(w);
  if (parts === null) return embedding(w.rt.dequantize(w), indices);
  return embeddingWeight(parts.codes, parts.scale, parts.zero, indices, parts.format, w.dtype);
}

const makeEntries = (): readonly Entry[] => [
  kindEntry(int8Kind),
  override(linear, 1, int8Kind, (x, w, b) => scope(() => int8Linear(x, w as Int8Tensor, b))),
  override(embedding, 0, int8Kind, (w, indices) => scope(() => int8Embedding(w as Int8Tensor, indices))),
  ...stackOverrides(int8Kind, ['qdata', 'scale', 'zero_point']),
  ...copyOverrides(int8Kind, (t, spanFor) => {
    const w = t as Int8Tensor;
    const { blockSize } = w.attrs;
    const span = spanFor((dim) => (w.scale.numel === 1 ? 1 : (blockSize[dim] as number)));
    const parts = mapParts(w, alias);
    for (const name of ['scale', 'zero_point'] as const) {
      const part = w[name];
      if (part !== undefined) parts[name] = cut(part, span.dim, span, blockSize[span.dim] as number);
    }
    const qdata = cut(w.qdata, span.dim, span, 1);
    const { shape } = qdata;
    return rebuild(
      w,
      { ...parts, qdata },
      { ...w.attrs, blockSize: blockSize.map((size, i) => Math.min(size, shape[i] as number)) },
      shape,
    );
  }),
];

const entries = /*@__PURE__*/ makeEntries();

/** Int8Tensor for an extension: always the same entries, so that several schemes may give them. */
export const int8KindEntries = (): readonly Entry[] => entries;
