// The shape and dtype rules that metas share; each error names the op and what it got.
import type { DType } from '../dtype.ts';
import { AoError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';

export function shapeError(op: string, message: string, fix: string): AoError {
  return new AoError('ERR_AO_SHAPE', message, { op, fix });
}

export const show = (t: Tensor): string => `${t.dtype.name}[${t.shape}]`;

/** A dimension counted from the front; negative counts from the back. */
export function dimOf(op: string, dim: number, ndim: number): number {
  const d = dim < 0 ? dim + ndim : dim;
  if (!Number.isInteger(d) || d < 0 || d >= Math.max(ndim, 1)) {
    throw shapeError(op, `dimension ${dim} is outside a tensor of ${ndim} dimensions`, `use ${-ndim}..${ndim - 1}`);
  }
  return d;
}

/** numpy's and torch's broadcasting of two shapes. */
export function broadcastShapes(op: string, a: readonly number[], b: readonly number[]): number[] {
  const n = Math.max(a.length, b.length);
  const out = new Array<number>(n);
  for (let i = 0; i < n; i++) {
    const x = a[a.length - n + i] ?? 1;
    const y = b[b.length - n + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) {
      throw shapeError(op, `shapes [${a}] and [${b}] do not broadcast`, 'make the sizes equal, or 1, from the right');
    }
    out[i] = x === 1 ? y : x;
  }
  return out;
}

export function requireDtype(op: string, name: string, t: Tensor, allowed: readonly DType[]): void {
  if (allowed.includes(t.dtype)) return;
  throw new AoError('ERR_AO_DTYPE', `${name} is ${show(t)}, it needs ${allowed.map((d) => d.name).join(' or ')}`, {
    op,
    fix: `cast it: to(${name}, ${allowed[0]?.name})`,
  });
}

export function requireFloat(op: string, name: string, t: Tensor): void {
  if (t.dtype.category === 'float' && t.dtype.bits > 8) return;
  throw new AoError('ERR_AO_DTYPE', `${name} is ${show(t)}, it needs a float dtype of 16 bits or more`, {
    op,
    fix: `cast it: cast(${name}, float32)`,
  });
}

export function requireSameDtype(op: string, a: readonly [string, Tensor], b: readonly [string, Tensor]): void {
  if (a[1].dtype === b[1].dtype) return;
  throw new AoError('ERR_AO_DTYPE', `${a[0]} is ${show(a[1])}, ${b[0]} is ${show(b[1])}: their dtypes must be equal`, {
    op,
    fix: `cast one of them: cast(${b[0]}, ${a[1].dtype.name})`,
  });
}

export function requireShape(op: string, name: string, t: Tensor, shape: readonly number[]): void {
  if (t.ndim === shape.length && t.shape.every((d, i) => d === shape[i])) return;
  throw shapeError(op, `${name} has shape [${t.shape}], it needs [${shape}]`, `reshape or slice ${name}`);
}

export function requireNdim(op: string, name: string, t: Tensor, ndim: number): void {
  if (t.ndim === ndim) return;
  throw shapeError(op, `${name} has shape [${t.shape}], it needs ${ndim} dimensions`, `reshape(${name}, ...)`);
}
