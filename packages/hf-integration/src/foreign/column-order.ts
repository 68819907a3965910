// Act-order: column k of a weight belongs to group groups[k]. columnOrder gives the columns group by group, inOrder the codes so.

/** perm with groups[perm[j]] = floor(j / groupSize); undefined where a group has more or fewer columns. */
export function columnOrder(groups: Int32Array, groupSize: number): Int32Array | undefined {
  const perm = Int32Array.from(groups.keys()).sort((a, b) => groups[a]! - groups[b]! || a - b);
  return perm.every((k, j) => groups[k] === Math.floor(j / groupSize)) ? perm : undefined;
}

/** codes [rows, K] -> out[n, j] = codes[n, perm[j]]. */
export function inOrder(codes: Int8Array, rows: number, perm: Int32Array): Int8Array {
  const K = perm.length;
  const out = new Int8Array(codes.length);
  for (let n = 0; n < rows; n++) for (let j = 0; j < K; j++) out[n * K + j] = codes[n * K + perm[j]!]!;
  return out;
}
