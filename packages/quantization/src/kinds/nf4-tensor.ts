// NF4Tensor: the flat weight in 4-bit normal floats, blocks of 64 with scales in int8; formulas in formats/nf4.ts. torchao has no
// safetensors form of it; this one holds its inner tensors by their names.
import {
  AoError,
  cast,
  contiguous,
  type Dense,
  defineKind,
  type Entry,
  expand,
  type FileForm,
  float32,
  type KindOf,
  kindEntry,
  reshape,
  slice,
  type WrappedOf,
} from '@ao/core';
import { decodeNf4, type NF4Parts, nf4Codes, nf4Dequantize, nf4Scalers, nf4Values } from '../formats/nf4.ts';
import { packUint4 } from '../formats/nibbles.ts';
import { decodeDtype, decodeInts, encodeDtype, formatError } from './attributes.ts';
import { alias, copyOverrides, mapParts, rebuild } from './blocks.ts';
import { type TableCodes, tableOverrides, tableParts } from './table-weight.ts';

export interface NF4Attrs {
  readonly blockSize: number;
  readonly scalerBlockSize: number;
}

type Part = keyof NF4Parts;
export type NF4Tensor = WrappedOf<Part, never, NF4Attrs>;

const tables = /*@__PURE__*/ new Map<string, Float32Array>();

function tableOf(t: NF4Tensor): Float32Array {
  const table = tables.get(t.dtype.name) ?? Float32Array.from(nf4Values(t.dtype));
  tables.set(t.dtype.name, table);
  return table;
}

/** null where blocks cross rows. */
function codes(t: NF4Tensor): TableCodes | null {
  const [N = 0, K = 0] = t.shape;
  if (t.ndim !== 2 || K % t.attrs.blockSize !== 0) return null;
  const scale = cast(reshape(nf4Scalers(t, t.attrs.scalerBlockSize), [N, -1]), float32);
  return { codes: reshape(nf4Codes(t.quantized_data, t.numel), [N, K]), scale, groupSize: t.attrs.blockSize };
}

const NAMES: readonly Part[] = ['quantized_data', 'scaler_mean', 'quantization_factor', 'quantized_scalers', 'nf4'];

const file: FileForm<NF4Tensor> = {
  type: 'NF4Tensor',
  names: () => NAMES,
  encode: (t) => ({
    block_size: t.attrs.blockSize,
    n_blocks: Math.ceil(t.numel / t.attrs.blockSize),
    scaler_block_size: t.attrs.scalerBlockSize,
    shape: t.shape,
    dtype: encodeDtype(t.dtype.name),
  }),
  decode: (json) => ({
    attrs: {
      blockSize: Number(json.block_size),
      scalerBlockSize: Number(json.scaler_block_size),
    } satisfies NF4Attrs,
    shape: decodeInts(json.shape, 'shape'),
    dtype: decodeDtype(json.dtype),
  }),
};

export const nf4Kind: KindOf<Part, never, NF4Attrs> = /*@__PURE__*/ defineKind('nf4', {
  parts: ['quantized_data', 'quantized_scalers', 'quantization_factor', 'scaler_mean', 'nf4'],
  attrs(value): NF4Attrs {
    const attrs = value as NF4Attrs;
    if (!(attrs.blockSize > 0) || !(attrs.scalerBlockSize > 0))
      throw formatError('an NF4 tensor needs block sizes', attrs, 'give 64 and 256');
    return Object.freeze({ ...attrs });
  },
  dequantize: (t: NF4Tensor): Dense =>
    reshape(nf4Dequantize(t, t.numel, t.attrs.blockSize, t.attrs.scalerBlockSize), t.shape) as Dense,
  weight: (t: NF4Tensor) => {
    const parts = codes(t);
    return parts && tableParts(tableOf(t), parts);
  },
  fromWeight: ({ codes: plain }) => ({ quantized_data: packUint4(reshape(plain, [-1]), 'high') }),
  packs: ['quantized_data'],
  file,
});

const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b));

const makeEntries = (): readonly Entry[] => [
  kindEntry(nf4Kind),
  ...tableOverrides<NF4Tensor>(nf4Kind, { codes, decode: (q, t) => cast(decodeNf4(q, t.nf4), float32) }),
  ...copyOverrides(nf4Kind, (t, spanFor) => {
    const w = t as NF4Tensor;
    const { blockSize, scalerBlockSize } = w.attrs;
    const row = w.numel / (w.shape[0] as number);
    // Rows whose values are whole blocks; columns of a flat layout have no slice.
    const rows = blockSize / greatestDivisor(blockSize, row);
    const span = spanFor((dim) => (dim === 0 ? rows : (w.shape[dim] as number)));
    if (span.dim !== 0 && span.end - span.start === w.shape[span.dim]) return rebuild(w, mapParts(w, alias));
    if (span.dim !== 0)
      throw new AoError('ERR_AO_SHAPE', `NF4 is a flat layout: dimension ${span.dim} has no slices`, {
        op: 'slice',
        fix: 'slice its rows, or dequantize it first',
      });
    const [from, to] = [(span.start * row) / blockSize, Math.ceil((span.end * row) / blockSize)];
    // Factors go one to a block, so that a cut need not fall on whole blocks of scales.
    const each = expand(reshape(w.quantization_factor, [-1, 1]), [w.quantization_factor.numel, scalerBlockSize]);
    const parts = {
      ...mapParts(w, alias),
      quantized_data: slice(w.quantized_data, 0, (span.start * row) / 2, Math.ceil((span.end * row) / 2)),
      quantized_scalers: slice(w.quantized_scalers, 0, from, to),
      quantization_factor: contiguous(slice(reshape(each, [-1]), 0, from, to)),
    };
    const shape = [span.end - span.start, ...w.shape.slice(1)];
    return rebuild(w, parts, { ...w.attrs, scalerBlockSize: 1 }, shape);
  }),
];

const entries = /*@__PURE__*/ makeEntries();

/** NF4Tensor for an extension: always the same entries. */
export const nf4KindEntries = (): readonly Entry[] => entries;
