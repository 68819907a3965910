// Sparse24Tensor: a weight [N, K] that keeps two of each four columns of a row, in a file and in memory the same:
//   values  [N, K / 2], row-major: a plain float tensor, or one of a quantized kind without zero points
//   meta    uint8 [N, K / 8]: a nibble for each four columns, their two indices in ascending order (meta.ts)
// What is computed with it equals what its dense form gives.
import {
  AoError,
  clone,
  type Dense,
  defineKind,
  type Entry,
  embedding,
  type FileForm,
  isWrapped,
  type KindOf,
  kindEntry,
  linear,
  override,
  scope,
  slice,
  type Tensor,
  type WeightParts,
  Wrapped,
  type WrappedOf,
} from '@ao/core';
import { sparse24Compress, sparse24Expand } from './ops.ts';

type Part = 'values' | 'meta';
type NoAttrs = Readonly<Record<string, never>>;
export type Sparse24Tensor = WrappedOf<Part, never, NoAttrs>;

interface Blocks {
  readonly blockSize?: readonly number[];
}

/** The same memory under handles of their own, which may be disposed by themselves. */
const aliases = (parts: Readonly<Record<string, Tensor>>): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, slice(part, 0, 0)]));

/** The same values with their zeros: of quantized values a tensor of their kind, else a plain one. Inside a scope. */
export function denseOf(t: Sparse24Tensor): Tensor {
  const { values, meta } = t;
  if (!isWrapped(values)) return sparse24Expand(values, meta);
  const { qdata, ...rest } = values.parts as Readonly<Record<string, Tensor>>;
  const { blockSize } = values.attrs as Blocks;
  if (qdata === undefined || blockSize === undefined || qdata.shape[1] !== values.shape[1]) {
    throw new AoError('ERR_AO_KERNEL', `values of kind ${values.kind.name} cannot be spread over their columns`, {
      fix: 'quantize them by int8, intx or float8',
    });
  }
  const attrs = { ...(values.attrs as object), blockSize: [blockSize[0]!, 2 * blockSize[1]!] };
  const parts = { ...aliases(rest), qdata: sparse24Expand(qdata, meta) };
  return new Wrapped(t.rt, values.kind, parts, values.kind.spec.attrs(attrs), t.shape, t.dtype);
}

/** How the packed weight reads it: the values' own format over twice the columns. */
function weight(t: Sparse24Tensor): WeightParts | null {
  const { values, meta, shape } = t;
  const [N, K] = shape as [number, number];
  if (!isWrapped(values)) {
    const code = t.dtype.name as 'float32';
    const format = { code, N, K, groupSize: K, zeroDomain: 'none', activation: 'exact', twoOfFour: true } as const;
    return { format, codes: values as Dense, meta: meta as Dense };
  }
  const inner = values.kind.spec.weight?.(values as never) ?? null;
  if (inner === null || inner.format.zeroDomain !== 'none') return null;
  const { groupSize } = inner.format;
  return { ...inner, format: { ...inner.format, K, groupSize: 2 * groupSize, twoOfFour: true }, meta: meta as Dense };
}

/** Values of a packed weight; of a kind, as that makes its parts. */
function fromWeight(w: WeightParts, t: Sparse24Tensor): Readonly<Record<string, Tensor>> {
  const meta = w.meta as Tensor;
  const held = t.held['values'];
  if (held === undefined || !isWrapped(held)) return { values: w.codes, meta };
  const { twoOfFour: _, ...format } = w.format;
  const inner = { ...w, format: { ...format, K: format.K / 2, groupSize: format.groupSize / 2 } };
  const parts = { ...aliases(held.held), ...held.kind.fromWeight(inner, held) };
  return { values: new Wrapped(t.rt, held.kind, parts, held.attrs, held.shape, held.dtype), meta };
}

const file: FileForm<Sparse24Tensor> = {
  type: 'Sparse24Tensor',
  names: () => ['values', 'meta'],
  encode: () => ({}),
  decode: (_json, { values }) => {
    const { shape, dtype } = values as Tensor;
    return { attrs: {}, shape: [shape[0]!, 2 * shape[1]!], dtype };
  },
};

export const sparse24Kind: KindOf<Part, never, NoAttrs> = /*@__PURE__*/ defineKind('sparse24', {
  parts: ['values', 'meta'],
  attrs(value): NoAttrs {
    if (Object.keys(value as object).length === 0) return {};
    throw new AoError('ERR_AO_FORMAT', 'a 2:4 tensor has no attributes', { fix: 'save it again' });
  },
  dequantize: (t: Sparse24Tensor) => scope(() => t.rt.dequantize(denseOf(t))),
  weight,
  fromWeight,
  packs: ['values', 'meta'],
  file,
});

/** Of each four columns of w [N, K] the two of largest magnitude; `quantize` makes the values what they are kept as. */
export function sparse24Tensor(w: Dense, quantize: (values: Dense) => Tensor = (v) => v): Sparse24Tensor {
  const [values, meta] = sparse24Compress(w);
  return sparse24Kind.make({ values: quantize(values as Dense), meta }, {}, w.shape, w.dtype);
}

export const sparse24Entries = (): readonly Entry[] => [
  kindEntry(sparse24Kind),
  override(linear, 1, sparse24Kind, (x, w, b) => scope(() => linear(x, denseOf(w as Sparse24Tensor), b))),
  override(embedding, 0, sparse24Kind, (w, indices) => scope(() => embedding(denseOf(w as Sparse24Tensor), indices))),
  override(clone, 0, sparse24Kind, (t) => {
    const { values, meta } = t as Sparse24Tensor;
    return sparse24Kind.make({ values: clone(values), meta: clone(meta) }, {}, t.shape, t.dtype);
  }),
  override(slice, 0, sparse24Kind, (t, dim, start, end, step) =>
    scope(() => {
      const { values, meta } = t as Sparse24Tensor;
      // rows are rows of the parts; columns are not
      if (dim !== 0 && dim !== -2) return slice(t.rt.dequantize(t), dim, start, end, step);
      const own = slice(values, 0, start, end, step);
      return sparse24Kind.make(
        { values: own, meta: slice(meta, 0, start, end, step) },
        {},
        [own.shape[0]!, t.shape[1]!],
        t.dtype,
      );
    }),
  ),
];
