// Values as code rows and back: the definition that backends meet bit for bit.
import { type CodeRows, codeRowBytes, headerBytes } from '../ops/quant/code-rows.ts';
import { roundHalfEven } from './elementwise.ts';

const TINY = 2 ** -126;

/**
 * Values -> rows of n values each. Symmetric: s = max|x| / (2^(bits-1) - 1), c = x / s. Asymmetric: s = (max - min) /
 * (2^bits - 1), c counts from min. float32 steps, nearest even; a row that holds NaN or infinity reads as NaN.
 */
export function encodeCodeRows(rows: CodeRows, values: ArrayLike<number>, n: number): Uint8Array {
  const size = codeRowBytes(rows, n);
  const count = values.length / n;
  const out = new Uint8Array(count * size);
  const view = new DataView(out.buffer);
  const center = 2 ** (rows.bits - 1);
  const top = 2 * center - 1;
  for (let r = 0; r < count; r++) {
    const x = Float32Array.from({ length: n }, (_, i) => values[r * n + i]!);
    const low = rows.asymmetric ? x.reduce((a, b) => Math.min(a, b)) : 0;
    const high = x.reduce((a, b) => Math.max(a, rows.asymmetric ? b : Math.abs(b)), rows.asymmetric ? -Infinity : 0);
    const span = Math.fround(high - low);
    const whole = Number.isFinite(span);
    const s = whole ? Math.max(Math.fround(span / (rows.asymmetric ? top : center - 1)), TINY) : Number.NaN;
    view.setFloat32(r * size, s, true);
    if (rows.asymmetric)
      view.setFloat32(r * size + 4, rows.bits === 8 ? low + center * s : whole ? low : Number.NaN, true);
    if (!whole) continue;
    const codes = out.subarray(r * size + headerBytes(rows), (r + 1) * size);
    for (let i = 0; i < n; i++) {
      const steps = roundHalfEven(Math.fround(Math.fround(x[i]! - low) / s)) + (rows.asymmetric ? 0 : center);
      const code = Math.min(Math.max(steps, 0), top);
      if (rows.bits === 8) codes[i] = code - center;
      else codes[i % (n / 2)]! |= i < n / 2 ? code : code << 4;
    }
  }
  return out;
}

/** What rows of n values stand for, each rounded to float32. */
export function decodeCodeRows(rows: CodeRows, bytes: ArrayLike<number>, n: number): Float32Array {
  const size = codeRowBytes(rows, n);
  const raw = Uint8Array.from(bytes);
  const view = new DataView(raw.buffer);
  const out = new Float32Array((raw.length / size) * n);
  for (let r = 0, at = 0; at < raw.length; r++, at += size) {
    const s = view.getFloat32(at, true);
    const m = rows.asymmetric ? view.getFloat32(at + 4, true) : rows.bits === 4 ? -8 * s : 0;
    const codes = at + headerBytes(rows);
    for (let i = 0; i < n; i++) {
      const c =
        rows.bits === 8 ? view.getInt8(codes + i) : i < n / 2 ? raw[codes + i]! & 15 : raw[codes + i - n / 2]! >> 4;
      out[r * n + i] = s * c + m;
    }
  }
  return out;
}
