// What the integer kinds share: copies, and slices along block borders.
import {
  AoError,
  clone,
  contiguous,
  type Kind,
  type OverrideEntry,
  override,
  permute,
  reshape,
  scope,
  slice,
  squeeze,
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

interface Blocks {
  readonly blockSize: readonly number[];
}

/** A part of rows [N, C] as [E, N / E, C], or back; one value for all of them stays one. */
function stackPart(part: Tensor, rows: number, lead: readonly number[]): Tensor {
  const columns = part.shape[part.ndim - 1] as number;
  const shared = part.numel === columns && rows !== 1;
  return reshape(part, [...(shared ? lead.map(() => 1) : lead), columns]);
}

/** [C, N] -> [N, C] and [E, C, N] -> [E, N, C]. */
const turned = (part: Tensor): Tensor => permute(part, part.ndim === 2 ? [1, 0] : [0, 2, 1]);

/**
 * t [E N, K] as the stack [E, N, K] of E matrices, or back. `parts` lie by rows; `columns` are those that lie by columns
 * of a matrix [C, N], as Int4Tensor's scales do.
 */
function restacked(t: Wrapped, shape: readonly number[], parts: readonly string[], columns: readonly string[]): Tensor {
  const { blockSize } = t.attrs as Blocks;
  const lead = shape.slice(0, -1);
  const rows = t.numel / (t.shape[t.ndim - 1] as number);
  const whole = t.shape.every((size, i) => size === blockSize[i]) && rows !== 1;
  const byRows = blockSize.slice(0, -1).every((size) => size === 1);
  const fits = shape[shape.length - 1] === t.shape[t.ndim - 1] && lead.reduce((n, d) => n * d, 1) === rows;
  if (!fits || (!whole && !byRows)) {
    throw new AoError('ERR_AO_SHAPE', `[${t.shape}] in blocks of [${blockSize}] cannot be [${shape}]`, {
      op: 'reshape',
      fix: 'keep the columns, and blocks of rows; or dequantize it first',
    });
  }
  const changed = mapParts(t, (part, name) => {
    if (parts.includes(name)) return stackPart(part, rows, lead);
    return columns.includes(name) ? contiguous(turned(stackPart(contiguous(turned(part)), rows, lead))) : alias(part);
  });
  const block = whole ? shape : [...lead.map(() => 1), blockSize[blockSize.length - 1] as number];
  return rebuild(t, changed, { ...(t.attrs as Blocks), blockSize: block }, shape);
}

/** reshape and squeeze between matrices and stacks of them [E, N, K], by which a weight of experts is quantized and taken apart. */
export function stackOverrides(kind: Kind, parts: readonly string[], columns: readonly string[] = []): OverrideEntry[] {
  const run = (t: unknown, shape: readonly number[]): Tensor => {
    const w = t as Wrapped;
    const known = shape.reduce((n, d) => (d === -1 ? n : n * d), 1);
    const full = shape.map((d) => (d === -1 ? w.numel / known : d));
    return scope(() => restacked(w, full, parts, columns));
  };
  return [
    override(reshape, 0, kind, (t, shape) => run(t, shape)),
    override(squeeze, 0, kind, (t, dim) => run(t, (t as Tensor).shape.toSpliced(dim, 1))),
  ];
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
