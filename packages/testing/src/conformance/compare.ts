/**
 * Two results of one op on two devices. Without a tolerance: the same bits, NaNs equal. With one, each element of a float
 * result satisfies
 *   |got - want| <= rtol * max(|want|, rms of want over its last axis) + ulps * (step of float32 at want)
 *                   + one step of the dtype at want, if that is coarser than float32 (its last rounding may tip)
 * Integers and booleans are always equal.
 */
import type { DType, RawArray } from '@ao/core';
import { decodeValues } from '@ao/core';
import type { Tolerance } from '@ao/core/samples';
import { difference, excess, indexOf, relativeLimit } from '../close.ts';

export interface Snapshot {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly bits: RawArray;
}

/** Distance between neighbouring values at x, of a format with this eps and smallest normal. */
function step(x: number, eps: number, smallestNormal: number): number {
  const exponent = Math.floor(Math.log2(Math.max(Math.abs(x), smallestNormal)));
  return eps * 2 ** exponent;
}

const EPS32 = 2 ** -23;
const NORMAL32 = 2 ** -126;

function limits(want: Snapshot, values: ArrayLike<number>, t: Tolerance): (i: number) => number {
  const { dtype, shape } = want;
  const relative = relativeLimit(values, t.rtol ?? 0, 0, shape.at(-1) ?? 1);
  const coarse = dtype.bits < 32;
  return (i) => {
    const x = values[i] as number;
    const own = coarse ? step(x, dtype.eps, dtype.smallestNormal) : 0;
    return relative(i) + (t.ulps ?? 0) * step(x, EPS32, NORMAL32) + own;
  };
}

/** The first problem of got against want, or undefined. */
export function compareSnapshots(got: Snapshot, want: Snapshot, tolerance?: Tolerance): string | undefined {
  if (got.dtype !== want.dtype) return `dtype ${got.dtype.name}, want ${want.dtype.name}`;
  if (`${got.shape}` !== `${want.shape}`) return `shape [${got.shape}], want [${want.shape}]`;
  if (got.bits.length !== want.bits.length) return `${got.bits.length} elements, want ${want.bits.length}`;
  const [a, b] = [decodeValues(got.dtype, got.bits), decodeValues(want.dtype, want.bits)];
  const limit = tolerance && want.dtype.category === 'float' ? limits(want, b, tolerance) : undefined;
  let count = 0;
  let at = 0;
  let most = 0;
  for (let i = 0; i < b.length; i++) {
    const equal = Object.is(got.bits[i], want.bits[i]) || Object.is(a[i], b[i]);
    if (equal) continue;
    const e = limit ? excess(difference(a[i] as number, b[i] as number), limit(i)) : 1;
    if (e === 0) continue;
    if (count++ === 0 || e > most) {
      at = i;
      most = e;
    }
  }
  if (count === 0) return undefined;
  const [x, y] = [show(a[at] as number), show(b[at] as number)];
  const rule = limit ? `, tolerance there ${limit(at)} (${tolerance?.why})` : '';
  return `${count} of ${b.length} differ; at ${indexOf(at, want.shape)}: got ${x}, want ${y}${rule}`;
}

const show = (x: number): string => (Object.is(x, -0) ? '-0' : String(x));
