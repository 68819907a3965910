// FloatxTensor: eXmY codes, one in the low bits of each uint8 [N, K], and a scale a row in the weight's dtype; w = value * scale.
// torchao had this scheme until 0.15 in a layout of GPU kernels; the form in files is ours.
import {
  cast,
  type Dense,
  defineKind,
  dequantizeAffineFloatx,
  type Entry,
  type FileForm,
  float32,
  floatxFacts,
  floatxUnpackedToF32,
  floatxValues,
  type KindOf,
  kindEntry,
  type Tensor,
  unsqueeze,
  type WrappedOf,
} from '@ao/core';
import { decodeDtype, encodeDtype } from './attributes.ts';
import { alias, copyOverrides, cut, mapParts, rebuild } from './blocks.ts';
import { packedCodes } from './packed-codes.ts';
import { type TableCodes, tableOverrides, tableParts } from './table-weight.ts';

export interface FloatxAttrs {
  readonly ebits: number;
  readonly mbits: number;
}

type Part = 'qdata' | 'scale';
export type FloatxTensor = WrappedOf<Part, never, FloatxAttrs>;

const codes = (t: FloatxTensor): TableCodes => ({
  codes: t.qdata,
  scale: unsqueeze(cast(t.scale, float32), 1),
  groupSize: t.shape[1] as number,
});

const file: FileForm<FloatxTensor> = {
  type: 'FloatxTensor',
  names: () => ['qdata', 'scale'],
  encode: (t) => ({ ebits: t.attrs.ebits, mbits: t.attrs.mbits, dtype: encodeDtype(t.dtype.name) }),
  decode: (json, parts) => ({
    attrs: { ebits: Number(json.ebits), mbits: Number(json.mbits) } satisfies FloatxAttrs,
    shape: (parts.qdata as Tensor).shape,
    dtype: decodeDtype(json.dtype),
  }),
};

export const floatxKind: KindOf<Part, never, FloatxAttrs> = /*@__PURE__*/ defineKind('floatx', {
  parts: ['qdata', 'scale'],
  attrs(value): FloatxAttrs {
    const attrs = value as FloatxAttrs;
    floatxFacts(attrs.ebits, attrs.mbits);
    return Object.freeze({ ...attrs });
  },
  dequantize: (t: FloatxTensor): Dense =>
    dequantizeAffineFloatx(t.qdata, t.scale, t.attrs.ebits, t.attrs.mbits, t.dtype) as Dense,
  weight: (t: FloatxTensor) => tableParts(floatxValues(t.attrs.ebits, t.attrs.mbits), codes(t)),
  fromWeight: ({ codes: plain }) => ({ qdata: plain }),
  packs: ['qdata'],
  file: /*@__PURE__*/ packedCodes(file, 'qdata', (t) => 1 + t.attrs.ebits + t.attrs.mbits),
});

const makeEntries = (): readonly Entry[] => [
  kindEntry(floatxKind),
  ...tableOverrides<FloatxTensor>(floatxKind, {
    codes,
    decode: (q, t) => floatxUnpackedToF32(q, t.attrs.ebits, t.attrs.mbits),
  }),
  ...copyOverrides(floatxKind, (t, spanFor) => {
    const w = t as FloatxTensor;
    const span = spanFor(() => 1);
    const qdata = cut(w.qdata, span.dim, span, 1);
    const scale = span.dim === 0 ? cut(w.scale, 0, span, 1) : alias(w.scale);
    return rebuild(w, { ...mapParts(w, alias), qdata, scale }, w.attrs, qdata.shape);
  }),
];

const entries = /*@__PURE__*/ makeEntries();

/** FloatxTensor for an extension: always the same entries. */
export const floatxKindEntries = (): readonly Entry[] => entries;
