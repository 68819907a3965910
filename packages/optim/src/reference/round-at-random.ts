// float32 to bfloat16 at random (torchao.optim's _fp32_to_bf16_sr): away from zero with the chance low / 2^16, low the 16 bits that
// bfloat16 lacks, else toward zero. Element i takes half i & 1 of word (i >> 1) & 3 of Philox(seed, i >> 3, call).
import { philox } from '@ao/core';

/** bfloat16 codes. */
export function roundAtRandom(values: Float32Array, seed: number, call: number): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  let words: readonly number[] = [];
  return Uint16Array.from(bits, (u, i) => {
    if (i % 8 === 0) words = philox(seed, i / 8, call);
    const chance = (words[(i >> 1) & 3]! >>> ((i & 1) * 16)) & 0xffff;
    return (u >>> 16) + Number(chance < (u & 0xffff));
  });
}
