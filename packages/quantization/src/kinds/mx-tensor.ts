// MXTensor: elements in blocks of a row and e8m0 scales, swizzled where torchao's tensor cores want them so; w = element * 2^e.
// Activations are exact, or rounded to MX blocks themselves: then both sides are decoded, as torchao's emulated product does.
import {
  type Dense,
  defineKind,
  type Entry,
  type FileForm,
  type KindOf,
  kindEntry,
  linear,
  reshape,
  type Tensor,
  type WrappedOf,
} from '@ao/core';
import type { KernelPreference, MemberOf, MXDtype, ScaleCalculationMode } from '../config/float-fields.ts';
import { member } from '../config/names.ts';
import { fromBlocked, toBlocked } from '../formats/blocked-scales.ts';
import { decodeMx, e8m0ToF32, fromMx, isFp4, type MXParts, mxCodes, mxQdata, mxTable, toMx } from '../formats/mx.ts';
import {
  decodeDtype,
  decodeDtypeName,
  decodeInts,
  encodeDtype,
  formatError,
  type JsonFields,
  tagged,
} from './attributes.ts';
import { copyOverrides, cut, rebuild } from './blocks.ts';
import { decodePreference, encodePreference } from './float8-attributes.ts';
import { type TableCodes, tableOverrides, tableParts } from './table-weight.ts';

/** How an MXTensor quantizes its activation. */
export interface QuantizeTensorToMXKwargs {
  readonly elemDtype: MXDtype;
  readonly blockSize: number;
  readonly scalingMode: ScaleCalculationMode;
  readonly kernelPreference: MemberOf<KernelPreference>;
  readonly isSwizzledScales: boolean;
}

export interface MXAttrs {
  readonly elemDtype: MXDtype;
  readonly blockSize: number;
  readonly kernelPreference: MemberOf<KernelPreference>;
  readonly actQuantKwargs: QuantizeTensorToMXKwargs | null;
  readonly isSwizzledScales: boolean;
}

type Part = 'qdata' | 'scale';
export type MXTensor = WrappedOf<Part, never, MXAttrs>;

const rowsOf = (t: Tensor): number => t.numel / (t.shape.at(-1) as number);

/** Scales [rows, ceil(K / blockSize)], whatever order they are held in. */
function plainScale(t: MXTensor): Tensor {
  if (!t.attrs.isSwizzledScales) return t.scale;
  return fromBlocked(t.scale, rowsOf(t), Math.ceil((t.shape.at(-1) as number) / t.attrs.blockSize));
}

function codes(t: MXTensor, scaleOf = (w: MXTensor): Tensor => e8m0ToF32(plainScale(w))): TableCodes | null {
  const { elemDtype, blockSize, actQuantKwargs } = t.attrs;
  const K = t.shape[1] as number;
  if (t.ndim !== 2 || actQuantKwargs !== null) return null;
  return { codes: mxCodes(t.qdata, elemDtype, K), scale: scaleOf(t), groupSize: blockSize };
}

const elemJson = (elem: MXDtype): JsonFields | string => (elem.startsWith('fp6') ? elem : encodeDtype(elem));
const elemOf = (json: unknown): MXDtype => (typeof json === 'string' ? json : decodeDtypeName(json)) as MXDtype;

function encodeKwargs(kwargs: QuantizeTensorToMXKwargs | null): JsonFields | null {
  if (kwargs === null) return null;
  return {
    _type: 'QuantizeTensorToMXKwargs',
    _data: {
      elem_dtype: elemJson(kwargs.elemDtype),
      block_size: kwargs.blockSize,
      scaling_mode: { _type: 'ScaleCalculationMode', _data: member(kwargs.scalingMode) },
      kernel_preference: encodePreference(kwargs.kernelPreference),
      is_swizzled_scales: kwargs.isSwizzledScales,
    },
  };
}

function decodeKwargs(json: unknown): QuantizeTensorToMXKwargs | null {
  if (json === null || json === undefined) return null;
  const data = tagged(json, 'QuantizeTensorToMXKwargs') as Record<string, unknown>;
  return {
    elemDtype: elemOf(data.elem_dtype),
    blockSize: Number(data.block_size),
    scalingMode: String(tagged(data.scaling_mode, 'ScaleCalculationMode')) as ScaleCalculationMode,
    kernelPreference: decodePreference(data.kernel_preference),
    isSwizzledScales: data.is_swizzled_scales === true,
  };
}

const oddFp4 = (t: MXTensor): boolean => isFp4(t.attrs.elemDtype) && (t.shape.at(-1) as number) % 2 !== 0;

const file: FileForm<MXTensor> = {
  type: 'MXTensor',
  names: () => ['qdata', 'scale'],
  encode: (t) => ({
    elem_dtype: elemJson(t.attrs.elemDtype),
    block_size: t.attrs.blockSize,
    orig_dtype: encodeDtype(t.dtype.name),
    kernel_preference: encodePreference(t.attrs.kernelPreference),
    act_quant_kwargs: encodeKwargs(t.attrs.actQuantKwargs),
    is_swizzled_scales: t.attrs.isSwizzledScales,
    ...(oddFp4(t) && { ao: { shape: t.shape } }),
  }),
  decode: (json, parts) => {
    const { shape } = parts.qdata as Tensor;
    const elemDtype = elemOf(json.elem_dtype);
    const held = (json.ao as JsonFields | undefined)?.shape;
    const two = [...shape.slice(0, -1), 2 * (shape.at(-1) as number)];
    return {
      attrs: {
        elemDtype,
        blockSize: Number(json.block_size),
        kernelPreference: decodePreference(json.kernel_preference),
        actQuantKwargs: decodeKwargs(json.act_quant_kwargs),
        isSwizzledScales: json.is_swizzled_scales === true,
      } satisfies MXAttrs,
      shape: held === undefined ? (isFp4(elemDtype) ? two : shape) : decodeInts(held, 'shape'),
      dtype: decodeDtype(json.orig_dtype),
    };
  },
};

export const mxKind: KindOf<Part, never, MXAttrs> = /*@__PURE__*/ defineKind('mx', {
  parts: ['qdata', 'scale'],
  attrs(value): MXAttrs {
    const attrs = value as MXAttrs;
    if (!(attrs.blockSize > 0)) throw formatError('an MX tensor needs a blockSize', attrs, 'give 32');
    mxTable(attrs.elemDtype);
    return Object.freeze({ ...attrs });
  },
  dequantize: (t: MXTensor): Dense => {
    const { elemDtype, blockSize } = t.attrs;
    const K = t.shape.at(-1) as number;
    const scale = reshape(plainScale(t), [...t.shape.slice(0, -1), -1]);
    return fromMx({ qdata: t.qdata, scale }, elemDtype, blockSize, K, t.dtype);
  },
  weight: (t: MXTensor) => {
    // kernels read the byte of a block's scale as it is
    const parts = codes(t, plainScale);
    return parts && tableParts(mxTable(t.attrs.elemDtype), parts);
  },
  fromWeight: ({ codes: plain }, t) => ({ qdata: mxQdata(plain, t.attrs.elemDtype) }),
  // The scales stay as they are: an eighth of a byte a value, and their order is part of the file.
  packs: ['qdata'],
  file,
});

/** x [..., K] as the activation of w: MX blocks, scales plain or swizzled. */
export function quantizeActivationMx(x: Tensor, kwargs: QuantizeTensorToMXKwargs): MXParts {
  const { elemDtype, blockSize, scalingMode, isSwizzledScales } = kwargs;
  const parts = toMx(x, elemDtype, blockSize, scalingMode);
  if (!isSwizzledScales) return parts;
  return { qdata: parts.qdata, scale: toBlocked(reshape(parts.scale, [rowsOf(x), -1])) };
}

function mxLinear(x: Tensor, w: MXTensor, b: Tensor | undefined): Tensor | null {
  const kwargs = w.attrs.actQuantKwargs;
  if (kwargs === null) return null;
  const { elemDtype, blockSize, scalingMode } = kwargs;
  const parts = toMx(x, elemDtype, blockSize, scalingMode);
  return linear(fromMx(parts, elemDtype, blockSize, x.shape.at(-1) as number, x.dtype), x.rt.dequantize(w), b);
}

const makeEntries = (): readonly Entry[] => [
  kindEntry(mxKind),
  ...tableOverrides<MXTensor>(mxKind, { codes, decode: (q, t) => decodeMx(q, t.attrs.elemDtype), linear: mxLinear }),
  ...copyOverrides(mxKind, (t, spanFor) => {
    const w = t as MXTensor;
    const { blockSize, elemDtype, isSwizzledScales } = w.attrs;
    const last = w.ndim - 1;
    const span = spanFor((dim) => (dim === last ? blockSize : 1));
    const columns = span.dim === last;
    const scale = cut(plainScale(w), span.dim, span, columns ? blockSize : 1);
    const qdata = cut(w.qdata, span.dim, span, columns && isFp4(elemDtype) ? 2 : 1);
    const shape = w.shape.map((size, i) => (i === span.dim ? span.end - span.start : size));
    return rebuild(w, { qdata, scale: isSwizzledScales ? toBlocked(scale) : scale }, w.attrs, shape);
  }),
];

const entries = /*@__PURE__*/ makeEntries();

/** MXTensor for an extension: always the same entries, so that several schemes may give them. */
export const mxKindEntries = (): readonly Entry[] => entries;
