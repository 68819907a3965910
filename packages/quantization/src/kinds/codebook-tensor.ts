// CodebookTensor: uint8 codes [N, K] into codebooks float32 [G, 2^b] of the whole tensor, of runs of rows or of runs of columns, and
// optionally float32 scales [N, ceil(K / scaleBlockSize)]; w = codebook[code] * scale. The form in files is ours.
// Packed where one codebook serves the whole tensor; else linear looks values up at each call.
import {
  cast,
  contiguous,
  type Dense,
  defineKind,
  type Entry,
  embedding,
  type FileForm,
  gather,
  int32,
  type KindOf,
  kindEntry,
  linear,
  mul,
  ones,
  override,
  reshape,
  scope,
  slice,
  type Tensor,
  transpose,
  type WeightParts,
  type WrappedOf,
} from '@ao/core';
import { decodeDtype, decodeInts, encodeDtype, formatError } from './attributes.ts';
import { alias, copyOverrides, cut, rebuild } from './blocks.ts';
import { packedCodes } from './packed-codes.ts';
import { cropped, padded, spread } from './short-blocks.ts';

export interface CodebookAttrs {
  readonly bits: number;
  /** Rows and columns that share a codebook. */
  readonly lutBlock: readonly number[];
  /** Values of a row that share a scale, or null. */
  readonly scaleBlockSize: number | null;
}

type Part = 'codes' | 'codebook';
export type CodebookTensor = WrappedOf<Part, 'scale', CodebookAttrs>;

/** x [N, K] as [G, values of one codebook], and back; blocks are whole rows or whole columns. */
export function toGroups(x: Tensor, [rows = 1, columns = 1]: readonly number[]): Tensor {
  const byColumns = rows >= (x.shape[0] as number) && columns < (x.shape[1] as number);
  const lines = byColumns ? contiguous(transpose(x, 0, 1)) : x;
  const run = byColumns ? columns : Math.min(rows, lines.shape[0] as number);
  return reshape(padded(lines, [run, 1]), [Math.ceil((lines.shape[0] as number) / run), -1]);
}

export function fromGroups(x: Tensor, [rows = 1, columns = 1]: readonly number[], shape: readonly number[]): Tensor {
  const [N, K] = shape as [number, number];
  const byColumns = rows >= N && columns < K;
  const lines = cropped(reshape(x, [-1, byColumns ? N : K]), byColumns ? [K, N] : [N, K]);
  return byColumns ? transpose(lines, 0, 1) : lines;
}

/** null where there are several codebooks. */
function weight(t: CodebookTensor): WeightParts | null {
  const { bits, lutBlock, scaleBlockSize } = t.attrs;
  if (t.ndim !== 2 || lutBlock.some((n, i) => n < (t.shape[i] as number))) return null;
  const [N, K] = t.shape as [number, number];
  return {
    format: { code: 'table', bits, N, K, groupSize: scaleBlockSize ?? K, zeroDomain: 'none', activation: 'exact' },
    codes: t.codes as Dense,
    scale: (t.scale ?? ones(t.rt, [N, 1], { device: t.device })) as Dense,
    table: reshape(t.codebook, [-1]) as Dense,
  };
}

const file: FileForm<CodebookTensor> = {
  type: 'CodebookQuantizedTensor',
  names: (t) => ['codes', 'codebook', ...(t.scale === undefined ? [] : ['scale'])],
  encode: (t) => ({
    code_dtype: encodeDtype(`uint${t.attrs.bits}`),
    block_size: t.attrs.lutBlock,
    scale_block_size: t.attrs.scaleBlockSize,
    dtype: encodeDtype(t.dtype.name),
  }),
  decode: (json, parts) => ({
    attrs: {
      bits: Math.log2((parts.codebook as Tensor).shape[1] as number),
      lutBlock: decodeInts(json.block_size, 'block_size'),
      scaleBlockSize: json.scale_block_size === null ? null : Number(json.scale_block_size),
    } satisfies CodebookAttrs,
    shape: (parts.codes as Tensor).shape,
    dtype: decodeDtype(json.dtype),
  }),
};

export const codebookKind: KindOf<Part, 'scale', CodebookAttrs> = /*@__PURE__*/ defineKind('codebook', {
  parts: ['codes', 'codebook'],
  optional: ['scale'],
  attrs(value): CodebookAttrs {
    const attrs = value as CodebookAttrs;
    if (!(attrs.bits >= 1 && attrs.bits <= 8) || !Number.isInteger(attrs.bits))
      throw formatError('a codebook has 2 to 256 values, a power of two', attrs, 'quantize the model again');
    return Object.freeze({ ...attrs });
  },
  dequantize: (t: CodebookTensor): Dense => {
    const { lutBlock, scaleBlockSize } = t.attrs;
    const index = cast(toGroups(t.codes, lutBlock), int32);
    const values = fromGroups(gather(t.codebook, 1, index), lutBlock, t.shape);
    if (t.scale === undefined) return cast(contiguous(values), t.dtype) as Dense;
    return cast(mul(values, spread(t.scale, [1, scaleBlockSize as number], t.shape)), t.dtype) as Dense;
  },
  weight,
  fromWeight: ({ codes, scale }, t) => ({ codes, ...(t.attrs.scaleBlockSize !== null && { scale: scale as Tensor }) }),
  packs: ['codes', 'scale'],
  file: /*@__PURE__*/ packedCodes(file, 'codes', (t) => t.attrs.bits),
});

const makeEntries = (): readonly Entry[] => [
  kindEntry(codebookKind),
  override(linear, 1, codebookKind, (x, w, b) => scope(() => linear(x, x.rt.dequantize(w), b))),
  override(embedding, 0, codebookKind, (w, indices) => scope(() => embedding(w.rt.dequantize(w), indices))),
  ...copyOverrides(codebookKind, (t, spanFor) => {
    const w = t as CodebookTensor;
    const { lutBlock, scaleBlockSize } = w.attrs;
    const span = spanFor((dim) => {
      const lut = lutBlock[dim] as number;
      const runs = lut < (w.shape[dim] as number) ? lut : 1;
      const group = dim === 1 ? (scaleBlockSize ?? 1) : 1;
      return (runs * group) / greatestDivisor(runs, group);
    });
    const lut = lutBlock[span.dim] as number;
    const split = lut < (w.shape[span.dim] as number);
    const codes = cut(w.codes, span.dim, span, 1);
    const parts = {
      codes,
      codebook: split ? slice(w.codebook, 0, span.start / lut, Math.ceil(span.end / lut)) : alias(w.codebook),
      ...(w.scale !== undefined && { scale: cut(w.scale, span.dim, span, span.dim === 1 ? (scaleBlockSize ?? 1) : 1) }),
    };
    const block = lutBlock.map((n, i) => (i === span.dim && split ? n : Math.min(n, codes.shape[i] as number)));
    return rebuild(w, parts, { ...w.attrs, lutBlock: block }, codes.shape);
  }),
];

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

const entries = /*@__PURE__*/ makeEntries();

/** CodebookTensor for an extension: always the same entries, so that several schemes may give them. */
export const codebookKindEntries = (): readonly Entry[] => entries;
