// CodedTensor: a weight [N, K] as codes of 1 to 8 bits with scales [N, K / g] that no kind of torchao has, as other libraries
// write them: float zero points (HQQ, MLX), values from a table (bitsandbytes' NF4 and FP4).
//   w = q * scale + zero_point, or table[q + 2^(bits - 1)] * scale; in float32 and rounded once
// qdata: q in -2^(bits-1) .. 2^(bits-1) - 1, int8 [N, K]; of up to 4 bits two to a byte [N, K / 2], low nibble = even column.
import {
  add,
  arange,
  cast,
  contiguous,
  type Dense,
  defineKind,
  type Entry,
  embedding,
  embeddingWeight,
  type FileForm,
  int8,
  int32,
  type KindOf,
  kindEntry,
  linear,
  override,
  packInt4,
  scope,
  sub,
  type Tensor,
  uint8,
  unpackInt4,
  type WeightParts,
  type WrappedOf,
} from '@ao/core';
import { decodeDtype, encodeDtype, formatError } from './attributes.ts';
import { copyOverrides, cut, mapParts, rebuild } from './blocks.ts';

export interface CodedAttrs {
  /** 1 to 8. */
  readonly bits: number;
  /** Values of a row that share a scale. */
  readonly groupSize: number;
  /** 2^bits values, or null where the code is the value. */
  readonly table: readonly number[] | null;
}

type Part = 'qdata' | 'scale';
export type CodedTensor = WrappedOf<Part, 'zero_point', CodedAttrs>;

const paired = (bits: number): boolean => bits <= 4;

function weight(t: CodedTensor): WeightParts {
  const { bits, groupSize, table } = t.attrs;
  const [N, K] = t.shape as [number, number];
  const zero = t.zero_point as Dense | undefined;
  const common = { N, K, groupSize, zeroDomain: zero === undefined ? 'none' : 'float', activation: 'exact' } as const;
  const rest = { scale: t.scale as Dense, ...(zero === undefined ? {} : { zero }) };
  if (table === null) {
    return { format: { code: paired(bits) ? 'int4' : 'int8', bits, ...common }, codes: t.qdata as Dense, ...rest };
  }
  const signed = paired(bits) ? unpackInt4(t.qdata) : t.qdata;
  const codes = cast(add(cast(signed, int32), 2 ** (bits - 1)), uint8) as Dense;
  return { format: { code: 'table', table: Float32Array.from(table), ...common }, codes, ...rest };
}

function fromWeight({ codes, scale, zero }: WeightParts, { attrs: { bits, table } }: CodedTensor) {
  const signed = table === null ? codes : cast(sub(cast(codes, int32), 2 ** (bits - 1)), int8);
  const qdata = table !== null && paired(bits) ? packInt4(signed) : signed;
  return { qdata, scale: scale as Tensor, ...(zero === undefined ? {} : { zero_point: zero }) };
}

/** Rows of the values, by int32 indices. */
function rows(t: CodedTensor, indices: Tensor): Tensor {
  const { codes, scale, zero, format } = weight(t);
  return embeddingWeight(codes, scale, zero, indices, format, t.dtype);
}

const file: FileForm<CodedTensor> = {
  type: 'CodedTensor',
  names: (t) => ['qdata', 'scale', ...(t.zero_point === undefined ? [] : ['zero_point'])],
  encode: ({ attrs: { bits, groupSize, table }, dtype, shape }) => ({
    bits,
    group_size: groupSize,
    table,
    shape,
    dtype: encodeDtype(dtype.name),
  }),
  decode: (json) => ({
    attrs: { bits: json.bits, groupSize: json.group_size, table: json.table ?? null },
    shape: json.shape as readonly number[],
    dtype: decodeDtype(json.dtype),
  }),
};

export const codedKind: KindOf<Part, 'zero_point', CodedAttrs> = /*@__PURE__*/ defineKind('coded', {
  parts: ['qdata', 'scale'],
  optional: ['zero_point'],
  attrs(value): CodedAttrs {
    const { bits, groupSize, table } = value as CodedAttrs;
    const whole = Number.isInteger(bits) && bits >= 1 && bits <= 8 && Number.isInteger(groupSize) && groupSize > 0;
    if (!whole || (table !== null && !(Array.isArray(table) && table.length === 2 ** bits))) {
      throw formatError(
        'a coded tensor has bits of 1 to 8, a group size and a table of 2^bits',
        value,
        'save it again',
      );
    }
    return Object.freeze({ bits, groupSize, table });
  },
  dequantize: (t: CodedTensor) =>
    scope(() => rows(t, arange(t.rt, 0, t.shape[0] as number, 1, { dtype: int32, device: t.device }))),
  weight,
  fromWeight,
  packs: ['qdata', 'scale', 'zero_point'],
  file,
});

const makeEntries = (): readonly Entry[] => [
  kindEntry(codedKind),
  override(linear, 1, codedKind, (x, w, b) => scope(() => linear(x, x.rt.dequantize(w as Tensor), b))),
  override(embedding, 0, codedKind, (w, indices) => scope(() => rows(w as CodedTensor, indices))),
  ...copyOverrides(codedKind, (t, spanFor) => {
    const w = t as CodedTensor;
    const { groupSize, bits } = w.attrs;
    const span = spanFor((dim) => (dim === 1 ? groupSize : 1));
    const columns = span.dim === 1;
    const part = (t: Tensor, name: string): Tensor =>
      name === 'qdata'
        ? cut(t, span.dim, span, columns && paired(bits) ? 2 : 1)
        : contiguous(cut(t, span.dim, span, columns ? groupSize : 1));
    const shape = w.shape.map((size, i) => (i === span.dim ? span.end - span.start : size));
    return rebuild(w, mapParts(w, part), w.attrs, shape);
  }),
];

const entries = /*@__PURE__*/ makeEntries();

/** CodedTensor for an extension. */
export const codedKindEntries = (): readonly Entry[] => entries;
