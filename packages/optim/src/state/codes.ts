// Blocks of floats to codes and back, in float32 steps as torchao's eager code:
//   maps:  scale = max(|block|, 1e-12);  code of x / scale = i, or i + 1 where x - q_i >= (q_{i+1} - q_i) / 2, q_i the last <= x
//   float8_e4m3fn:  scale = max(|block|, 1e-12) / 448;  code of x / scale to nearest even
// 16 values: two codes a byte, the first in the high half.
import { encodeArray, float8_e4m3fn } from '@ao/core';

const f32 = Math.fround;

/** Index of the nearest of ascending values by that rule; 0 for NaN. */
export function nearest(map: ArrayLike<number>, x: number): number {
  let code = 0;
  for (let half = map.length / 2; half >= 1; half /= 2) if (x >= map[code + half]!) code += half;
  const up = Math.min(code + 1, map.length - 1);
  return f32(x - map[code]!) >= f32(f32(map[up]! - map[code]!) * 0.5) ? up : code;
}

export interface Codes {
  readonly codes: Uint8Array;
  readonly scale: Float32Array;
}

/** Without a map: float8. */
export function encodeBlocks(values: ArrayLike<number>, blockSize: number, map?: ArrayLike<number>): Codes {
  const n = values.length;
  const scale = new Float32Array(n / blockSize);
  const scaled = new Float32Array(n);
  for (const b of scale.keys()) {
    let most = f32(1e-12);
    for (let i = b * blockSize; i < (b + 1) * blockSize; i++) {
      const x = Math.abs(values[i]!);
      if (x > most || Number.isNaN(x)) most = x;
      if (Number.isNaN(most)) break;
    }
    scale[b] = map === undefined ? f32(most / 448) : most;
    for (let i = b * blockSize; i < (b + 1) * blockSize; i++) scaled[i] = values[i]! / scale[b]!;
  }
  if (map === undefined) return { codes: encodeArray(float8_e4m3fn, scaled) as Uint8Array, scale };
  const codes = Uint8Array.from(scaled, (x) => nearest(map, x));
  if (map.length === 256) return { codes, scale };
  return { codes: codes.subarray(0, n / 2).map((_, i) => (codes[2 * i]! << 4) | codes[2 * i + 1]!), scale };
}

/** Without a map: float8. */
export function decodeBlocks({ codes, scale }: Codes, map?: ArrayLike<number>): Float32Array {
  const each = map?.length === 16 ? 2 : 1;
  const out = new Float32Array(codes.length * each);
  const block = out.length / scale.length;
  for (const i of out.keys()) {
    const code = each === 2 ? (codes[i >> 1]! >> (i % 2 === 0 ? 4 : 0)) & 15 : codes[i]!;
    out[i] = f32(map === undefined ? float8_e4m3fn.decode(code) : map[code]!) * scale[Math.floor(i / block)]!;
  }
  return out;
}
