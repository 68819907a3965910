// unpackBits: codes that follow each other without gaps in little-endian 32-bit words, the lowest bits first, for many lanes at
// once: value i of lane l starts at bit i * bits of the words that begin at l * laneStride and are wordStride apart.

export interface BitLayout {
  readonly bits: number;
  /** Values a lane. */
  readonly count: number;
  readonly lanes: number;
  /** In words. */
  readonly wordStride: number;
  readonly laneStride: number;
  /** Where value i of a run of order.length values lies in it; in order unless given. */
  readonly order?: readonly number[];
}

export interface CodesOut {
  /** Of value i, lane l: out[l * laneStride + i * stride]. */
  readonly stride: number;
  readonly laneStride: number;
  /** Added to each code. */
  readonly add: number;
  /** What happens to a code before that. */
  readonly map?: (code: number) => number;
}

export function unpackBits(words: Uint32Array, from: BitLayout, to: CodesOut): Int8Array {
  const { bits, count, lanes, wordStride, laneStride, order } = from;
  const out = new Int8Array(lanes * count);
  const mask = 2 ** bits - 1;
  const run = order?.length ?? 1;
  const { add, map } = to;
  for (let i = 0; i < count; i++) {
    const at = (order === undefined ? i : i - (i % run) + order[i % run]!) * bits;
    const shift = at & 31;
    const first = (at >>> 5) * wordStride;
    const straddles = shift + bits > 32;
    for (let l = 0; l < lanes; l++) {
      const word = l * laneStride + first;
      let code = words[word]! >>> shift;
      if (straddles) code |= words[word + wordStride]! << (32 - shift);
      code &= mask;
      out[l * to.laneStride + i * to.stride] = (map === undefined ? code : map(code)) + add;
    }
  }
  return out;
}

/** Bytes of a file as 32-bit words. */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  const { buffer, byteOffset, byteLength } = bytes;
  if (byteOffset % 4 === 0) return new Uint32Array(buffer, byteOffset, byteLength / 4);
  return new Uint32Array(bytes.slice().buffer);
}
