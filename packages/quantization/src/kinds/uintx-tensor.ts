// UIntxTensor: codes [N, K], one a byte, scales and zero points [N, ceil(K / group)]; w = (q - zero) * scale in float32, rounded once.
// 1 to 7 bits: uint8 codes with float zero points; 8 bits: symmetric int8 without. torchao's tensor of this scheme holds gemlite's
// GPU layout; the form in files is ours.
import {
  cast,
  type Dense,
  defineKind,
  type Entry,
  type FileForm,
  float32,
  type KindOf,
  kindEntry,
  mul,
  sub,
  type Tensor,
  type WeightParts,
  type WrappedOf,
} from '@ao/core';
import { decodeDtype, encodeDtype, formatError } from './attributes.ts';
import { copyOverrides, cut, rebuild } from './blocks.ts';
import { packedCodes } from './packed-codes.ts';
import { spread } from './short-blocks.ts';
import { type TableCodes, tableOverrides, tableParts } from './table-weight.ts';

export interface UIntxAttrs {
  readonly bitWidth: number;
  readonly groupSize: number;
}

type Part = 'qdata' | 'scale';
export type UIntxTensor = WrappedOf<Part, 'zero_point', UIntxAttrs>;

const tables = /*@__PURE__*/ new Map<number, Float32Array>();

function tableOf(bits: number): Float32Array {
  const table = tables.get(bits) ?? Float32Array.from({ length: 2 ** bits }, (_, code) => code);
  tables.set(bits, table);
  return table;
}

/** (q - z) s = q s + (-z s). */
function codes(t: UIntxTensor): TableCodes | null {
  const { groupSize } = t.attrs;
  if (t.ndim !== 2) return null;
  const scale = cast(t.scale, float32);
  return t.zero_point === undefined
    ? { codes: t.qdata, scale, groupSize }
    : { codes: t.qdata, scale, groupSize, zero: mul(mul(cast(t.zero_point, float32), scale), -1) };
}

function weight(t: UIntxTensor): WeightParts | null {
  const parts = codes(t);
  if (parts === null) return null;
  const { bitWidth, groupSize } = t.attrs;
  if (bitWidth < 8) return tableParts(tableOf(bitWidth), parts);
  const [N, K] = t.shape as [number, number];
  return {
    format: { code: 'int8', N, K, groupSize, zeroDomain: 'none', activation: 'exact' },
    codes: t.qdata as Dense,
    scale: parts.scale as Dense,
  };
}

const file: FileForm<UIntxTensor> = {
  type: 'UIntxTensor',
  names: (t) => ['qdata', 'scale', ...(t.zero_point === undefined ? [] : ['zero_point'])],
  encode: (t) => ({
    bit_width: t.attrs.bitWidth,
    group_size: t.attrs.groupSize,
    dtype: encodeDtype(t.dtype.name),
  }),
  decode: (json, parts) => ({
    attrs: { bitWidth: Number(json.bit_width), groupSize: Number(json.group_size) } satisfies UIntxAttrs,
    shape: (parts.qdata as Tensor).shape,
    dtype: decodeDtype(json.dtype),
  }),
};

export const uintxKind: KindOf<Part, 'zero_point', UIntxAttrs> = /*@__PURE__*/ defineKind('uintx', {
  parts: ['qdata', 'scale'],
  optional: ['zero_point'],
  attrs(value): UIntxAttrs {
    const attrs = value as UIntxAttrs;
    if (!(attrs.bitWidth >= 1 && attrs.bitWidth <= 8) || !(attrs.groupSize > 0))
      throw formatError('a uintx tensor has 1 to 8 bits and a group size', attrs, 'quantize the model again');
    return Object.freeze({ ...attrs });
  },
  dequantize: (t: UIntxTensor): Dense => {
    const each = (p: Tensor): Tensor => spread(cast(p, float32), [1, t.attrs.groupSize], t.shape);
    const q = cast(t.qdata, float32);
    return cast(mul(t.zero_point === undefined ? q : sub(q, each(t.zero_point)), each(t.scale)), t.dtype) as Dense;
  },
  weight,
  fromWeight: ({ codes: plain }) => ({ qdata: plain }),
  packs: ['qdata'],
  file: /*@__PURE__*/ packedCodes(file, 'qdata', (t) => t.attrs.bitWidth),
});

const makeEntries = (): readonly Entry[] => [
  kindEntry(uintxKind),
  ...tableOverrides<UIntxTensor>(uintxKind, { codes, decode: (q) => cast(q, float32) }),
  ...copyOverrides(uintxKind, (t, spanFor) => {
    const w = t as UIntxTensor;
    const { groupSize } = w.attrs;
    const span = spanFor((dim) => (dim === 1 ? groupSize : 1));
    const part = (p: Tensor): Tensor => cut(p, span.dim, span, span.dim === 1 ? groupSize : 1);
    const parts = {
      qdata: cut(w.qdata, span.dim, span, 1),
      scale: part(w.scale),
      ...(w.zero_point !== undefined && { zero_point: part(w.zero_point) }),
    };
    return rebuild(w, parts, w.attrs, parts.qdata.shape);
  }),
];

const entries = /*@__PURE__*/ makeEntries();

/** UIntxTensor for an extension: always the same entries. */
export const uintxKindEntries = (): readonly Entry[] => entries;
