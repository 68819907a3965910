// Float8Tensor: float8 codes of the weight's shape and float32 scales by blocks of block_size, w = q * scale. Blocks are rows,
// groups of a row, rectangles or the whole tensor; the last of a dimension may be short. The activation scheme is data on it.
import {
  contiguous,
  defineKind,
  dequantizeAffineFloat8,
  dtypeByName,
  type FileForm,
  type KindOf,
  slice,
  type Tensor,
  uint8,
  viewDtype,
  type WrappedOf,
} from '@ao/core';
import type { Float8Dtype, Float8MMConfig, KernelPreference, MemberOf } from '../config/float-fields.ts';
import { decodeDtype, decodeInts, encodeDtype, formatError } from './attributes.ts';
import {
  decodeFloat8Kwargs,
  decodeMM,
  decodePreference,
  encodeFloat8Kwargs,
  encodeMM,
  encodePreference,
  type QuantizeTensorToFloat8Kwargs,
} from './float8-attributes.ts';
import { cropped, padded, spread } from './short-blocks.ts';
import { type TableCodes, tableParts } from './table-weight.ts';

export interface Float8Attrs {
  /** Of the codes. */
  readonly float8Dtype: Float8Dtype;
  readonly blockSize: readonly number[];
  readonly mmConfig: Float8MMConfig | null;
  readonly actQuantKwargs: QuantizeTensorToFloat8Kwargs | null;
  readonly kernelPreference: MemberOf<KernelPreference>;
}

type Part = 'qdata' | 'scale';
type Optional = 'act_quant_scale' | 'output_act_quant_scale';
export type Float8Tensor = WrappedOf<Part, Optional, Float8Attrs>;

const OPTIONAL: readonly Optional[] = ['act_quant_scale', 'output_act_quant_scale'];
const tables = /*@__PURE__*/ new Map<string, Float32Array>();

/** The value of each code of a float8 dtype. */
export function float8Table(name: string): Float32Array {
  const known = tables.get(name);
  if (known !== undefined) return known;
  const dtype = dtypeByName(name);
  const table = Float32Array.from({ length: 256 }, (_, code) => dtype.decode(code));
  tables.set(name, table);
  return table;
}

/** Codes and scales of a matrix whose activations are exact, else null. */
export function float8Codes(t: Float8Tensor): TableCodes | null {
  const { blockSize, actQuantKwargs } = t.attrs;
  if (t.ndim !== 2 || actQuantKwargs !== null) return null;
  const [rows, groupSize] = blockSize as [number, number];
  const scale = spread(t.scale, [rows, 1], [t.shape[0] as number, t.scale.shape[1] as number]);
  return { codes: viewDtype(t.qdata, uint8), scale, groupSize };
}

const file: FileForm<Float8Tensor> = {
  type: 'Float8Tensor',
  names: (t) => [...OPTIONAL.filter((name) => t[name] !== undefined), 'qdata', 'scale'],
  encode: (t) => ({
    block_size: t.attrs.blockSize,
    mm_config: encodeMM(t.attrs.mmConfig),
    act_quant_kwargs: encodeFloat8Kwargs(t.attrs.actQuantKwargs),
    kernel_preference: encodePreference(t.attrs.kernelPreference),
    dtype: encodeDtype(t.dtype.name),
  }),
  decode: (json, parts) => ({
    attrs: {
      float8Dtype: (parts.qdata as Tensor).dtype.name as Float8Dtype,
      blockSize: decodeInts(json.block_size, 'block_size'),
      mmConfig: decodeMM(json.mm_config),
      actQuantKwargs: decodeFloat8Kwargs(json.act_quant_kwargs),
      kernelPreference: decodePreference(json.kernel_preference),
    } satisfies Float8Attrs,
    shape: (parts.qdata as Tensor).shape,
    dtype: decodeDtype(json.dtype),
  }),
};

export const float8Kind: KindOf<Part, Optional, Float8Attrs> = /*@__PURE__*/ defineKind('float8', {
  parts: ['qdata', 'scale'],
  optional: ['act_quant_scale', 'output_act_quant_scale'],
  attrs(value): Float8Attrs {
    const attrs = value as Float8Attrs;
    if (!Array.isArray(attrs.blockSize))
      throw formatError('a float8 tensor needs a blockSize', attrs, 'give e.g. [1, K]');
    return Object.freeze({ ...attrs });
  },
  dequantize: (t: Float8Tensor) => {
    const q = padded(t.qdata, t.attrs.blockSize);
    return cropped(dequantizeAffineFloat8(q, t.scale, t.dtype), t.shape);
  },
  weight: (t: Float8Tensor) => {
    const parts = float8Codes(t);
    return parts && tableParts(float8Table(t.attrs.float8Dtype), parts);
  },
  fromWeight: ({ codes, scale }, t) => ({
    qdata: viewDtype(codes, dtypeByName(t.attrs.float8Dtype)),
    scale: contiguous(slice(scale as Tensor, 0, 0, Number.POSITIVE_INFINITY, t.attrs.blockSize[0])),
  }),
  packs: ['qdata', 'scale'],
  file,
});
