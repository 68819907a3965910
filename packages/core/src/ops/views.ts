// Views: another shape, strides and offset on the same storage, no copy (reshape copies where strides do not allow a view).
import { defineOp } from '../op.ts';
import { contiguousStrides, Dense, numel, type Tensor } from '../tensor.ts';
import { dimOf, shapeError } from './checks.ts';
import { contiguous } from './contiguous.ts';

const view = (x: Dense, shape: readonly number[], strides: readonly number[], offset = x.offset): Dense => {
  const out = new Dense(x.rt, x.storage, shape, x.dtype, strides, offset);
  out.lease = x.lease;
  return out;
};

function resolveShape(x: Tensor, shape: readonly number[]): number[] {
  const free = shape.indexOf(-1);
  const known = numel(shape.filter((d) => d !== -1));
  const out = shape.map((d, i) => (i === free && known > 0 ? x.numel / known : d));
  if (numel(out) !== x.numel || out.some((d) => !Number.isInteger(d) || d < 0)) {
    throw shapeError(
      'reshape',
      `[${x.shape}] has ${x.numel} elements, [${shape}] does not fit`,
      'keep the element count',
    );
  }
  return out;
}

/** torch.reshape; one size may be -1. */
export const reshape = /*@__PURE__*/ defineOp<[x: Tensor, shape: readonly number[]]>('reshape', {
  meta: (x, shape) => ({ shape: resolveShape(x, shape), dtype: x.dtype }),
  view(x, shape) {
    const to = resolveShape(x, shape);
    const from = contiguous(x) as Dense;
    const out = view(from, to, contiguousStrides(to));
    if (from !== x) from.dispose();
    return out;
  },
});

export const permute = /*@__PURE__*/ defineOp<[x: Tensor, dims: readonly number[]]>('permute', {
  meta(x, dims) {
    const order = dims.map((d) => dimOf('permute', d, x.ndim));
    if (order.length !== x.ndim || new Set(order).size !== x.ndim) {
      throw shapeError('permute', `[${dims}] is no order of ${x.ndim} dimensions`, 'name each dimension once');
    }
    return { shape: order.map((d) => x.shape[d]!), dtype: x.dtype };
  },
  view(x, dims) {
    const order = dims.map((d) => dimOf('permute', d, x.ndim));
    const t = x as Dense;
    return view(
      t,
      order.map((d) => t.shape[d]!),
      order.map((d) => t.strides[d]!),
    );
  },
});

/** Swaps two dimensions. */
export function transpose(x: Tensor, a: number, b: number): Tensor {
  const order = x.shape.map((_, i) => i);
  const i = dimOf('transpose', a, x.ndim);
  const j = dimOf('transpose', b, x.ndim);
  order[i] = j;
  order[j] = i;
  return permute(x, order);
}

interface Range {
  readonly dim: number;
  readonly start: number;
  readonly length: number;
}

function range(x: Tensor, dim: number, start: number, end: number, step: number): Range {
  if (x.ndim === 0) throw shapeError('slice', 'a tensor of no dimensions has no slices', 'reshape it to [1] first');
  const d = dimOf('slice', dim, x.ndim);
  const n = x.shape[d]!;
  if (!Number.isInteger(step) || step < 1) throw shapeError('slice', `step is ${step}`, 'give a step of 1 or more');
  const at = (i: number) => Math.min(Math.max(i < 0 ? i + n : i, 0), n);
  const from = at(start);
  return { dim: d, start: from, length: Math.max(0, Math.ceil((at(end) - from) / step)) };
}

/** x[start:end:step] along dim; negative positions count from the end, positions beyond it are clamped, as in torch. */
export const slice = /*@__PURE__*/ defineOp<[x: Tensor, dim: number, start: number, end?: number, step?: number]>(
  'slice',
  {
    meta(x, dim, start, end = Number.POSITIVE_INFINITY, step = 1) {
      const r = range(x, dim, start, end, step);
      return { shape: x.shape.map((n, i) => (i === r.dim ? r.length : n)), dtype: x.dtype };
    },
    view(x, dim, start, end = Number.POSITIVE_INFINITY, step = 1) {
      const r = range(x, dim, start, end, step);
      const t = x as Dense;
      return view(
        t,
        t.shape.map((n, i) => (i === r.dim ? r.length : n)),
        t.strides.map((s, i) => (i === r.dim ? s * step : s)),
        t.offset + r.start * t.strides[r.dim]!,
      );
    },
  },
);

/** x[..., index, ...] without the dimension. */
export function select(x: Tensor, dim: number, index: number): Tensor {
  const d = dimOf('select', dim, x.ndim);
  const n = x.shape[d]!;
  const i = index < 0 ? index + n : index;
  if (!Number.isInteger(i) || i < 0 || i >= n) {
    throw shapeError('select', `index ${index} is outside dimension ${dim} of [${x.shape}]`, `use ${-n}..${n - 1}`);
  }
  const part = slice(x, d, i, i + 1);
  const out = squeeze(part, d);
  part.dispose();
  return out;
}

/** Repeats dimensions of size 1 without a copy; -1 keeps a size. */
export const expand = /*@__PURE__*/ defineOp<[x: Tensor, shape: readonly number[]]>('expand', {
  meta(x, shape) {
    const lead = shape.length - x.ndim;
    const out = shape.map((n, i) => (n === -1 ? x.shape[i - lead]! : n));
    if (lead < 0 || x.shape.some((n, i) => n !== 1 && n !== out[i + lead])) {
      throw shapeError('expand', `[${x.shape}] does not expand to [${shape}]`, 'only sizes of 1 grow');
    }
    return { shape: out, dtype: x.dtype };
  },
  view(x, shape) {
    const t = x as Dense;
    const lead = shape.length - t.ndim;
    const out = shape.map((n, i) => (n === -1 ? t.shape[i - lead]! : n));
    const strides = out.map((_, i) => (i < lead || t.shape[i - lead] === 1 ? 0 : t.strides[i - lead]!));
    return view(t, out, strides);
  },
});

export const squeeze = /*@__PURE__*/ defineOp<[x: Tensor, dim: number]>('squeeze', {
  meta(x, dim) {
    const d = dimOf('squeeze', dim, x.ndim);
    if (x.shape[d] !== 1) throw shapeError('squeeze', `dimension ${dim} of [${x.shape}] is not 1`, 'use select');
    return { shape: x.shape.filter((_, i) => i !== d), dtype: x.dtype };
  },
  view(x, dim) {
    const t = x as Dense;
    const d = dimOf('squeeze', dim, t.ndim);
    return view(
      t,
      t.shape.filter((_, i) => i !== d),
      t.strides.filter((_, i) => i !== d),
    );
  },
});

export const unsqueeze = /*@__PURE__*/ defineOp<[x: Tensor, dim: number]>('unsqueeze', {
  meta(x, dim) {
    const d = dimOf('unsqueeze', dim, x.ndim + 1);
    return { shape: x.shape.toSpliced(d, 0, 1), dtype: x.dtype };
  },
  view(x, dim) {
    const t = x as Dense;
    const d = dimOf('unsqueeze', dim, t.ndim + 1);
    return view(t, t.shape.toSpliced(d, 0, 1), t.strides.toSpliced(d, 0, 0));
  },
});
