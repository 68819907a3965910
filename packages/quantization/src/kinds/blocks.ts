// What the integer kinds share: copies, and slices along block borders.
import {
  AoError,
  clone,
  type Kind,
  type OverrideEntry,
  override,
  reshape,
  slice,
  type Tensor,
  type Wrapped,
} from '@ao/core';

/** t with each part replaced; attributes, shape and dtype as given or as they were. */
export function rebuild(
  t: Wrapped,
  parts: Record<string, Tensor>,
  attrs: unknown = t.attrs,
  shape: readonly number[] = t.shape,
): Tensor {
  const make = (t.kind as Kind & { make(p: typeof parts, a: unknown, s: readonly number[], d: typeof t.dtype): Tensor })
    .make;
  return make(parts, attrs, shape, t.dtype);
}

export function mapParts(t: Wrapped, f: (part: Tensor, name: string) => Tensor): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(t.parts).map(([name, part]) => [name, f(part, name)]));
}

/** The same memory under a handle of its own, so that each tensor may be disposed by itself. */
export const alias = (part: Tensor): Tensor => (part.ndim === 0 ? reshape(part, []) : slice(part, 0, 0));

/** Start and length of a slice, in elements. */
export interface Span {
  readonly dim: number;
  readonly start: number;
  readonly end: number;
}

/** Resolves slice arguments as torch does; throws unless the step is 1 and the borders are multiples of `block`. */
export function spanOf(
  t: Tensor,
  dim: number,
  start: number,
  end: number,
  step: number,
  block: (dim: number) => number,
): Span {
  const d = dim < 0 ? dim + t.ndim : dim;
  const n = t.shape[d];
  if (n === undefined) throw new AoError('ERR_AO_SHAPE', `dimension ${dim} is outside [${t.shape}]`, { op: 'slice' });
  if (step !== 1)
    throw new AoError('ERR_AO_SHAPE', `a quantized tensor is sliced with step 1, not ${step}`, {
      op: 'slice',
      fix: 'dequantize it first',
    });
  const at = (i: number): number => Math.min(Math.max(i < 0 ? i + n : i, 0), n);
  const from = at(start);
  const to = Math.max(from, at(end));
  const size = block(d);
  if (size !== n && (from % size !== 0 || (to % size !== 0 && to !== n))) {
    throw new AoError('ERR_AO_SHAPE', `${from}..${to} of dimension ${d} cuts through blocks of ${size}`, {
      op: 'slice',
      fix: `use multiples of ${size}`,
    });
  }
  return { dim: d, start: from, end: to };
}

/** A part that holds one value for `block` elements of a dimension, cut to the span. */
export function cut(part: Tensor, dim: number, { start, end }: Span, block: number): Tensor {
  return part.shape[dim] === 1 && block > 1
    ? clone(part)
    : slice(part, dim, Math.floor(start / block), Math.ceil(end / block));
}

/** clone by parts, and slice as the kind says. */
export function copyOverrides(
  kind: Kind,
  sliced: (t: Wrapped, span: (block: (dim: number) => number) => Span) => Tensor,
): OverrideEntry[] {
  return [
    override(clone, 0, kind, (t) =>
      rebuild(
        t as Wrapped,
        mapParts(t as Wrapped, (part) => clone(part)),
      ),
    ),
    override(slice, 0, kind, (t, dim, start, end = Number.POSITIVE_INFINITY, step = 1) =>
      sliced(t as Wrapped, (block) => spanOf(t as Tensor, dim, start, end, step, block)),
    ),
  ];
}
