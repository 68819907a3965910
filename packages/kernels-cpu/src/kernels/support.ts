// What every wiring line needs: the address of a tensor, its backend's calls, and shapes as the kernels take them.
import { AoError, type Dense, type DType, float16, float32, int64, uint8 } from '@ao/core';
import type { Calls } from '../abi.ts';
import { address, type CpuBackend } from '../backend.ts';

export { address };

export function calls(t: Dense): Calls {
  return (t.storage.backend as CpuBackend).calls;
}

/** 0 where the tensor is absent. */
export function addressOr(t: Dense | undefined): number {
  return t === undefined ? 0 : address(t);
}

/** Built-in codes by size, for what only moves bits. */
const MOVERS: Readonly<Record<number, DType>> = { 1: uint8, 2: float16, 4: float32, 8: int64 };

/** Dtypes of other packages have codes from here on. */
const FOREIGN_CODE = 64;

/** The code under which kernels that only move elements take a dtype: that of one of equal size for other packages' dtypes. */
export function movedCode(op: string, d: DType): number {
  if (d.code < FOREIGN_CODE) return d.code;
  const mover = MOVERS[d.itemsize];
  if (mover !== undefined) return mover.code;
  throw new AoError('ERR_AO_KERNEL', `${d.name} has ${d.itemsize} bytes an element; the cpu moves 1, 2, 4 or 8`, {
    op,
    fix: `add a kernel of ${op} for 'cpu' with when: (x) => x.dtype === ${d.name}`,
  });
}

/** Codes of a copy from `from` to `to`; other packages' dtypes are copied as they are, never converted. */
export function copyCodes(op: string, to: DType, from: DType): readonly [to: number, from: number] {
  if (to === from) return [movedCode(op, to), movedCode(op, from)];
  for (const d of [to, from]) {
    if (d.code < FOREIGN_CODE) continue;
    throw new AoError('ERR_AO_KERNEL', `${from.name} to ${to.name}: the cpu does not know ${d.name}`, {
      op,
      fix: `cast by a dtype that ${d.name} has a cast kernel for, or add one: kernel(castTo, 'cpu', ..., { when, priority: 1 })`,
    });
  }
  return [to.code, from.code];
}

export const dtypeOr = (t: Dense | undefined): number => (t?.dtype ?? float32).code;

/** Dimensions that kernels take. */
const MAX_NDIM = 6;

/** Strides of t broadcast to `shape`: 0 where a dimension repeats. */
export function broadcastStrides(t: Dense, shape: readonly number[]): number[] {
  const lead = shape.length - t.ndim;
  return shape.map((n, i) => (i < lead || (t.shape[i - lead] === 1 && n !== 1) ? 0 : t.strides[i - lead]!));
}

export interface Strided {
  readonly shape: number[];
  readonly strides: number[][];
}

/** Joins neighbouring dimensions that all operands walk through evenly, so that most calls have one or two. */
export function collapse(op: string, shape: readonly number[], strides: readonly (readonly number[])[]): Strided {
  const outShape: number[] = [];
  const outStrides: number[][] = strides.map(() => []);
  for (const [i, n] of shape.entries()) {
    if (n === 1) continue;
    const last = outShape.length - 1;
    if (last >= 0 && strides.every((s, j) => outStrides[j]![last] === s[i]! * n)) {
      outShape[last]! *= n;
      for (const [j, s] of strides.entries()) outStrides[j]![last] = s[i]!;
    } else {
      outShape.push(n);
      for (const [j, s] of strides.entries()) outStrides[j]!.push(s[i]!);
    }
  }
  if (outShape.length > MAX_NDIM) {
    throw new AoError(
      'ERR_AO_KERNEL',
      `${outShape.length} dimensions that cannot be joined; the cpu takes ${MAX_NDIM}`,
      {
        op,
        fix: 'reshape, or make the operands contiguous',
      },
    );
  }
  return { shape: outShape, strides: outStrides };
}

/** Length of the last dimension, and how many rows of it there are. */
export function rows(t: Dense): { rows: number; n: number } {
  const n = t.shape[t.ndim - 1] ?? 1;
  return { rows: n === 0 ? 0 : t.numel / n, n };
}

/** x as [outer, n, inner] around a dimension; all of it where `dim` is absent. */
export function around(t: Dense, dim: number | undefined): { outer: number; n: number; inner: number } {
  if (dim === undefined) return { outer: 1, n: t.numel, inner: 1 };
  const d = dim < 0 ? dim + t.ndim : dim;
  const size = (from: number, to: number): number => t.shape.slice(from, to).reduce((p, s) => p * s, 1);
  return { outer: size(0, d), n: t.shape[d]!, inner: size(d + 1, t.ndim) };
}

export const isFloat = (d: DType): boolean => d.category === 'float' && d.bits > 8;
