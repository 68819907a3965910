// PermutedTensor: a weight [N, K] whose columns are stored in another order, as act-order quantization leaves them, so that those
// of one group lie side by side: w[n, perm[j]] = weight[n, j], and x w' = x[..., perm] weight'.
// weight: a tensor of any kind [N, K]; perm, inverse: int32 [K], inverse[perm[j]] = j.
import {
  cast,
  contiguous,
  type Dense,
  defineKind,
  type Entry,
  embedding,
  expand,
  type FileForm,
  gather,
  type KindOf,
  kindEntry,
  linear,
  override,
  reshape,
  scope,
  slice,
  type Tensor,
  type WrappedOf,
} from '@ao/core';
import { formatError } from './attributes.ts';
import { alias, copyOverrides, rebuild } from './blocks.ts';

type Part = 'weight' | 'perm' | 'inverse';
export type PermutedTensor = WrappedOf<Part, never, Record<string, never>>;

/** Columns of t [..., K] by int32 indices [K]. */
function columns(t: Tensor, indices: Tensor): Tensor {
  const row = reshape(indices, [...t.shape.slice(1).map(() => 1), t.shape[t.ndim - 1] as number]);
  return gather(t, -1, contiguous(expand(row, t.shape)));
}

const file: FileForm<PermutedTensor> = {
  type: 'PermutedTensor',
  names: () => ['weight', 'perm', 'inverse'],
  encode: () => ({}),
  decode: (_json, { weight }) => ({ attrs: {}, shape: (weight as Tensor).shape, dtype: (weight as Tensor).dtype }),
};

export const permutedKind: KindOf<Part, never, Record<string, never>> = /*@__PURE__*/ defineKind('permuted', {
  parts: ['weight', 'perm', 'inverse'],
  attrs(value): Record<string, never> {
    if (Object.keys(value as object).length === 0) return {};
    throw formatError('a permuted tensor has no attributes', value, 'save it again');
  },
  dequantize: (t: PermutedTensor) => scope(() => columns(cast(t.rt.dequantize(t.weight), t.dtype), t.inverse)),
  file,
});

const makeEntries = (): readonly Entry[] => [
  kindEntry(permutedKind),
  override(linear, 1, permutedKind, (x, w, b) =>
    scope(() => linear(columns(x, (w as PermutedTensor).perm), (w as PermutedTensor).weight, b)),
  ),
  override(embedding, 0, permutedKind, (w, indices) =>
    scope(() => columns(embedding((w as PermutedTensor).weight, indices), (w as PermutedTensor).inverse)),
  ),
  ...copyOverrides(permutedKind, (t, spanFor) => {
    const w = t as PermutedTensor;
    // a range of columns is no range of the stored ones
    const span = spanFor((dim) => (dim === 1 ? (w.shape[1] as number) : 1));
    if (span.dim === 1) return slice(w.rt.dequantize(w) as Dense, 1, span.start, span.end);
    const weight = slice(w.weight, 0, span.start, span.end);
    return rebuild(w, { weight, perm: alias(w.perm), inverse: alias(w.inverse) }, {}, weight.shape);
  }),
];

const entries = /*@__PURE__*/ makeEntries();

/** PermutedTensor for an extension. */
export const permutedKindEntries = (): readonly Entry[] => entries;
