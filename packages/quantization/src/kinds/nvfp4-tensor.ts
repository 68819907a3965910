// NVFP4Tensor: e2m1 codes two to a byte, e4m3 scales of blocks of 16 (swizzled), and one float32 scale a tensor unless there is
// one level only. Activations are exact, or rounded to NVFP4 themselves, by a scale found at run time or held on the weight.
import {
  type Dense,
  defineKind,
  type Entry,
  type FileForm,
  type KindOf,
  kindEntry,
  linear,
  mul,
  reshape,
  type Tensor,
  tensor,
  type WeightParts,
  type WrappedOf,
} from '@ao/core';
import { fromBlocked, toBlocked } from '../formats/blocked-scales.ts';
import { packUint4, unpackUint4 } from '../formats/nibbles.ts';
import {
  decodeE2m1,
  e2m1Table,
  nvfp4Dequantize,
  nvfp4Quantize,
  nvfp4Scales,
  perTensorScale,
} from '../formats/nvfp4.ts';
import { decodeDtype, decodeInts, encodeDtype, formatError, type JsonFields, tagged } from './attributes.ts';
import { alias, copyOverrides, cut, mapParts, rebuild } from './blocks.ts';
import { type TableCodes, tableOverrides, tableParts } from './table-weight.ts';

/** How an NVFP4Tensor quantizes its activation. */
export interface QuantizeTensorToNVFP4Kwargs {
  readonly blockSize: number;
  readonly isSwizzledScales: boolean;
  readonly useTritonKernel: boolean;
  readonly useDynamicPerTensorScale: boolean;
}

export interface NVFP4Attrs {
  readonly blockSize: number;
  readonly isSwizzledScales: boolean;
  readonly useTritonKernel: boolean;
  readonly actQuantKwargs: QuantizeTensorToNVFP4Kwargs | null;
}

type Part = 'qdata' | 'scale';
type Optional = 'per_tensor_scale' | 'act_per_tensor_scale';
export type NVFP4Tensor = WrappedOf<Part, Optional, NVFP4Attrs>;

const OPTIONAL: readonly Optional[] = ['per_tensor_scale', 'act_per_tensor_scale'];
const rowsOf = (t: Tensor): number => t.numel / (t.shape.at(-1) as number);

function plainScale(t: NVFP4Tensor): Tensor {
  if (!t.attrs.isSwizzledScales) return t.scale;
  return fromBlocked(t.scale, rowsOf(t), Math.ceil((t.shape.at(-1) as number) / t.attrs.blockSize));
}

function codes(
  t: NVFP4Tensor,
  scaleOf = (w: NVFP4Tensor) => nvfp4Scales(plainScale(w), w.per_tensor_scale),
): TableCodes | null {
  const { blockSize, actQuantKwargs } = t.attrs;
  const K = t.shape[1] as number;
  if (t.ndim !== 2 || actQuantKwargs !== null) return null;
  return { codes: unpackUint4(t.qdata, K), scale: scaleOf(t), groupSize: blockSize };
}

/** Kernels read the byte of a block's scale as it is; the scale of the tensor goes into the table. */
function weight(t: NVFP4Tensor): WeightParts | null {
  const found = codes(t, plainScale);
  if (found === null) return null;
  const parts = tableParts(e2m1Table(), found);
  const { table: values, ...format } = parts.format;
  if (t.per_tensor_scale === undefined || values === undefined) return parts;
  const table = mul(tensor(t.rt, values, { device: t.device }), t.per_tensor_scale) as Dense;
  return { ...parts, format: { ...format, bits: 4 }, table };
}

function encodeKwargs(kwargs: QuantizeTensorToNVFP4Kwargs | null): JsonFields | null {
  if (kwargs === null) return null;
  return {
    _type: 'QuantizeTensorToNVFP4Kwargs',
    _data: {
      block_size: kwargs.blockSize,
      is_swizzled_scales: kwargs.isSwizzledScales,
      use_triton_kernel: kwargs.useTritonKernel,
      use_dynamic_per_tensor_scale: kwargs.useDynamicPerTensorScale,
    },
  };
}

function decodeKwargs(json: unknown): QuantizeTensorToNVFP4Kwargs | null {
  if (json === null || json === undefined) return null;
  const data = tagged(json, 'QuantizeTensorToNVFP4Kwargs') as Record<string, unknown>;
  return {
    blockSize: Number(data.block_size),
    isSwizzledScales: data.is_swizzled_scales === true,
    useTritonKernel: data.use_triton_kernel === true,
    useDynamicPerTensorScale: data.use_dynamic_per_tensor_scale === true,
  };
}

const file: FileForm<NVFP4Tensor> = {
  type: 'NVFP4Tensor',
  names: (t) => [...OPTIONAL.filter((name) => t[name] !== undefined), 'qdata', 'scale'],
  encode: (t) => ({
    is_swizzled_scales: t.attrs.isSwizzledScales,
    use_triton_kernel: t.attrs.useTritonKernel,
    act_quant_kwargs: encodeKwargs(t.attrs.actQuantKwargs),
    block_size: t.attrs.blockSize,
    orig_dtype: encodeDtype(t.dtype.name),
    ...((t.shape.at(-1) as number) % 2 !== 0 && { ao: { shape: t.shape } }),
  }),
  decode: (json, parts) => {
    const { shape } = parts.qdata as Tensor;
    const held = (json.ao as JsonFields | undefined)?.shape;
    return {
      attrs: {
        blockSize: Number(json.block_size),
        isSwizzledScales: json.is_swizzled_scales === true,
        useTritonKernel: json.use_triton_kernel === true,
        actQuantKwargs: decodeKwargs(json.act_quant_kwargs),
      } satisfies NVFP4Attrs,
      shape: held === undefined ? [...shape.slice(0, -1), 2 * (shape.at(-1) as number)] : decodeInts(held, 'shape'),
      dtype: decodeDtype(json.orig_dtype),
    };
  },
};

export const nvfp4Kind: KindOf<Part, Optional, NVFP4Attrs> = /*@__PURE__*/ defineKind('nvfp4', {
  parts: ['qdata', 'scale'],
  optional: ['per_tensor_scale', 'act_per_tensor_scale'],
  attrs(value): NVFP4Attrs {
    const attrs = value as NVFP4Attrs;
    if (!(attrs.blockSize > 0)) throw formatError('an NVFP4 tensor needs a blockSize', attrs, 'give 16');
    return Object.freeze({ ...attrs });
  },
  dequantize: (t: NVFP4Tensor): Dense => {
    const scale = reshape(plainScale(t), [...t.shape.slice(0, -1), -1]);
    return nvfp4Dequantize(t.qdata, scale, t.per_tensor_scale, t.attrs.blockSize, t.shape.at(-1) as number, t.dtype);
  },
  weight,
  fromWeight: ({ codes: plain }) => ({ qdata: packUint4(plain) }),
  packs: ['qdata'],
  file,
});

export interface NVFP4Activation {
  readonly qdata: Tensor;
  readonly scale: Tensor;
  readonly per_tensor_scale?: Tensor;
}

/** x [..., K] as the activation of w; scales plain. */
export function quantizeActivationNvfp4(x: Tensor, w: NVFP4Tensor): NVFP4Activation {
  const kwargs = w.attrs.actQuantKwargs as QuantizeTensorToNVFP4Kwargs;
  const t = w.act_per_tensor_scale ?? (kwargs.useDynamicPerTensorScale ? perTensorScale(x) : undefined);
  return { ...nvfp4Quantize(x, kwargs.blockSize, t), ...(t !== undefined && { per_tensor_scale: t }) };
}

function nvfp4Linear(x: Tensor, w: NVFP4Tensor, b: Tensor | undefined): Tensor | null {
  const { actQuantKwargs } = w.attrs;
  if (actQuantKwargs === null) return null;
  const { qdata, scale, per_tensor_scale: t } = quantizeActivationNvfp4(x, w);
  const K = x.shape.at(-1) as number;
  return linear(nvfp4Dequantize(qdata, scale, t, actQuantKwargs.blockSize, K, x.dtype), x.rt.dequantize(w), b);
}

const makeEntries = (): readonly Entry[] => [
  kindEntry(nvfp4Kind),
  ...tableOverrides<NVFP4Tensor>(nvfp4Kind, { codes, decode: decodeE2m1, linear: nvfp4Linear }),
  ...copyOverrides(nvfp4Kind, (t, spanFor) => {
    const w = t as NVFP4Tensor;
    const { blockSize, isSwizzledScales } = w.attrs;
    const last = w.ndim - 1;
    const span = spanFor((dim) => (dim === last ? blockSize : 1));
    const columns = span.dim === last;
    const scale = cut(plainScale(w), span.dim, span, columns ? blockSize : 1);
    const qdata = cut(w.qdata, span.dim, span, columns ? 2 : 1);
    const shape = w.shape.map((size, i) => (i === span.dim ? span.end - span.start : size));
    const parts = { ...mapParts(w, alias), qdata, scale: isSwizzledScales ? toBlocked(scale) : scale };
    return rebuild(w, parts, w.attrs, shape);
  }),
];

const entries = /*@__PURE__*/ makeEntries();

/** NVFP4Tensor for an extension: always the same entries, so that several schemes may give them. */
export const nvfp4KindEntries = (): readonly Entry[] => entries;
