// Philox4x32-10 (Salmon et al. 2011): key = seed, counter = (element, call). Same numbers on every backend.
const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/** High and low 32 bits of a product of 32-bit integers. */
function mul(a: number, b: number): [high: number, low: number] {
  const low = Math.imul(a, b) >>> 0;
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const mid = a1 * b0 + Math.floor((a0 * b0) / 65536);
  const high = a1 * b1 + Math.floor(mid / 65536) + Math.floor(((mid % 65536) + a0 * b1) / 65536);
  return [high >>> 0, low];
}

/** Four 32-bit numbers of the counter (element, 0, call, 0) under the key (seed, 0). */
export function philox(seed: number, element: number, call: number): [number, number, number, number] {
  let [c0, c1, c2, c3] = [element >>> 0, 0, call >>> 0, 0];
  let [k0, k1] = [seed >>> 0, 0];
  for (let round = 0; round < 10; round++) {
    const [h0, l0] = mul(M0, c0);
    const [h1, l1] = mul(M1, c2);
    [c0, c1, c2, c3] = [(h1 ^ c1 ^ k0) >>> 0, l1, (h0 ^ c3 ^ k1) >>> 0, l0];
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  return [c0, c1, c2, c3];
}
