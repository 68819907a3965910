/**
 * Comparisons of numbers that say which element differs and by how much.
 *   expectBits            the same codes; NaNs are equal to each other, 0 and -0 are not
 *   expectClose  ulps     steps between neighbouring values of the dtype
 *                rtol     |got - want| <= atol + rtol * max(|want|, rms of want over its last `axis` elements, if given)
 *                sqnr     20 log10(norm(want) / norm(want - got)) >= sqnr, in dB
 */
import type { DType } from '@ao/core';
import { float32 } from '@ao/core';

export type Numbers = ArrayLike<number>;

export interface Tolerance {
  readonly ulps?: number;
  /** The dtype whose steps `ulps` counts: float32 unless told. */
  readonly dtype?: DType;
  readonly rtol?: number;
  readonly atol?: number;
  /** Length of the last axis, over which `rtol` may take the root mean square. */
  readonly axis?: number;
  /** dB */
  readonly sqnr?: number;
  /** Why the numbers may differ at all. */
  readonly why: string;
}

export function fail(message: string): never {
  const error = new Error(message);
  error.name = 'AssertionError';
  throw error;
}

/** 20 log10(norm(ref) / norm(ref - out)), dB; Infinity for equal arrays, NaN where one of them is not finite. */
export function sqnr(ref: Numbers, out: Numbers): number {
  if (ref.length !== out.length) fail(`sqnr of ${ref.length} and ${out.length} elements`);
  let signal = 0;
  let noise = 0;
  for (let i = 0; i < ref.length; i++) {
    const r = ref[i] as number;
    const d = r - (out[i] as number);
    signal += r * r;
    noise += d * d;
  }
  return noise === 0 ? Infinity : 10 * Math.log10(signal / noise);
}

/** Root mean square of the finite elements of each run of `axis`. */
export function rms(x: Numbers, axis: number): Float64Array {
  const out = new Float64Array(axis > 0 ? x.length / axis : 0);
  for (let i = 0; i < out.length; i++) {
    let sum = 0;
    let count = 0;
    for (let k = 0; k < axis; k++) {
      const v = x[i * axis + k] as number;
      if (!Number.isFinite(v)) continue;
      sum += v * v;
      count++;
    }
    out[i] = count > 0 ? Math.sqrt(sum / count) : 0;
  }
  return out;
}

const f64 = /*@__PURE__*/ new Float64Array(1);
const i64 = /*@__PURE__*/ new BigInt64Array(f64.buffer);
const f32 = /*@__PURE__*/ new Float32Array(1);
const i32 = /*@__PURE__*/ new Int32Array(f32.buffer);

/** Place of x among the dtype's values: neighbours differ by 1, both zeros are 0. */
function place(x: number, dtype: DType): number | bigint {
  if (dtype.category !== 'float') return x;
  if (dtype.bits === 64) {
    f64[0] = x;
    const magnitude = i64[0]! & 0x7fff_ffff_ffff_ffffn;
    return i64[0]! < 0n ? -magnitude : magnitude;
  }
  if (dtype.bits === 32) {
    f32[0] = x;
    const magnitude = i32[0]! & 0x7fff_ffff;
    return i32[0]! < 0 ? -magnitude : magnitude;
  }
  const code = dtype.encode(x);
  const sign = 2 ** (dtype.bits - 1);
  return code >= sign ? sign - code : code;
}

/** Steps of the dtype from a to b; 0 for two NaNs, Infinity where only one is NaN or infinite. */
export function ulpDistance(a: number, b: number, dtype: DType = float32): number {
  if (Object.is(a, b) || a === b) return 0;
  if (!Number.isFinite(a) || !Number.isFinite(b)) return Infinity;
  const [p, q] = [place(a, dtype), place(b, dtype)];
  return Math.abs(Number(typeof p === 'bigint' && typeof q === 'bigint' ? p - q : Number(p) - Number(q)));
}

/** [i, j, k] of a flat index. */
export function indexOf(flat: number, shape: readonly number[]): string {
  const index: number[] = [];
  let rest = flat;
  for (let d = shape.length - 1; d >= 0; d--) {
    const n = shape[d] as number;
    index.unshift(rest % n);
    rest = Math.floor(rest / n);
  }
  return `[${index.join(', ')}]`;
}

function sameLength(got: ArrayLike<unknown>, want: ArrayLike<unknown>): void {
  if (got.length !== want.length) fail(`got ${got.length} elements, want ${want.length}`);
}

/** Equal codes (or values). */
export function expectBits(got: ArrayLike<number | bigint>, want: ArrayLike<number | bigint>, what = ''): void {
  sameLength(got, want);
  let differing = 0;
  let first = -1;
  for (let i = 0; i < want.length; i++) {
    if (Object.is(got[i], want[i])) continue;
    if (differing++ === 0) first = i;
  }
  if (differing > 0) {
    fail(
      `${what && `${what}: `}${differing} of ${want.length} differ, first [${first}]: got ${got[first]}, want ${want[first]}`,
    );
  }
}

export function expectClose(got: Numbers, want: Numbers, tolerance: Tolerance): void {
  const { ulps, dtype = float32, rtol, atol = 0, axis, sqnr: decibel, why } = tolerance;
  sameLength(got, want);
  if (!why) fail('expectClose needs `why`: the reason for which the numbers may differ');
  if (ulps === undefined && rtol === undefined && tolerance.atol === undefined && decibel === undefined) {
    fail('expectClose needs one of ulps, rtol, atol and sqnr');
  }
  if (decibel !== undefined) {
    const is = sqnr(want, got);
    if (!(is >= decibel)) fail(`SQNR is ${is.toFixed(2)} dB, want at least ${decibel} (may differ: ${why})`);
  }
  if (ulps !== undefined) {
    const steps = (a: number, b: number): number => ulpDistance(a, b, dtype);
    worst(got, want, { off: steps, limit: () => ulps, name: `${ulps} ulps of ${dtype.name}`, unit: ' ulps', why });
  }
  if (rtol !== undefined || tolerance.atol !== undefined) {
    const limit = relativeLimit(want, rtol ?? 0, atol, axis);
    worst(got, want, { off: difference, limit, name: `rtol ${rtol ?? 0}, atol ${atol}`, unit: '', why });
  }
}

/** i -> atol + rtol * max(|want[i]|, rms of its run of `axis` elements). */
export function relativeLimit(want: Numbers, rtol: number, atol: number, axis?: number): (i: number) => number {
  const scale = axis ? rms(want, axis) : undefined;
  return (i) => {
    const row = scale && axis ? (scale[Math.floor(i / axis)] as number) : 0;
    return atol + rtol * Math.max(Math.abs(want[i] as number), row);
  };
}

/** |a - b|, with equal infinities and two NaNs equal, and Infinity where only one is so. */
export function difference(a: number, b: number): number {
  if (Object.is(a, b)) return 0;
  const d = Math.abs(a - b);
  return Number.isNaN(d) ? Infinity : d;
}

interface Check {
  off(a: number, b: number): number;
  limit(i: number): number;
  readonly name: string;
  readonly unit: string;
  readonly why: string;
}

/** How far an element is beyond its limit: 0 within, Infinity where no limit could allow it. */
export function excess(off: number, limit: number): number {
  if (off === 0 || (off <= limit && off < Infinity)) return 0;
  return off === Infinity || Number.isNaN(limit) ? Infinity : off - limit;
}

/** Fails at the element that is furthest beyond its limit. */
function worst(got: Numbers, want: Numbers, { off, limit, name, unit, why }: Check): void {
  let count = 0;
  let at = 0;
  let most = 0;
  for (let i = 0; i < want.length; i++) {
    const e = excess(off(got[i] as number, want[i] as number), limit(i));
    if (e === 0) continue;
    count++;
    if (e > most) {
      at = i;
      most = e;
    }
  }
  if (count === 0) return;
  const [a, b] = [got[at] as number, want[at] as number];
  const found = `got ${a}, want ${b}, off by ${off(a, b)}${unit}`;
  fail(`${count} of ${want.length} exceed ${name}, worst [${at}]: ${found} (may differ: ${why})`);
}
