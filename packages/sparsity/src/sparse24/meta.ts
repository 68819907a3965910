// Which two of four columns a weight keeps. A group of four has a nibble: the lower index in bits 0-1, the higher in bits 2-3; a
// byte of meta [N, K / 8] holds the nibbles of columns 8 i .. 8 i + 3 (low) and 8 i + 4 .. 8 i + 7 (high). Where fewer than two
// values are kept, further columns are named as cuSPARSELt and CUTLASS expect it: always two, in ascending order.

/** The nibble for each mask of four columns, bit j for column j; masks of more than two columns have none. */
const NIBBLES: readonly number[] = [14, 8, 9, 4, 14, 8, 9, -1, 14, 12, 13, -1, 14, -1, -1, -1];

export const nibbleOf = (mask: number): number => NIBBLES[mask]!;

/** The nibble of group g of a row-major meta. */
export const nibbleAt = (meta: ArrayLike<number>, g: number): number => (meta[g >> 1]! >> (4 * (g & 1))) & 15;

/** Columns of a group, the lower first. */
export const firstOf = (nibble: number): number => nibble & 3;
export const secondOf = (nibble: number): number => nibble >> 2;

/** Puts the nibble of group g; meta begins as zeros. */
export function putNibble(meta: Uint8Array, g: number, nibble: number): void {
  meta[g >> 1]! |= nibble << (4 * (g & 1));
}

/** The mask of the two largest of four magnitudes, the lower column first among equals; zeros are never kept. */
export function largestTwo(v: ArrayLike<number>, at: number): number {
  let mask = 0;
  for (let pick = 0; pick < 2; pick++) {
    let best = -1;
    let most = 0;
    for (let j = 0; j < 4; j++) {
      const size = Math.abs(v[at + j]!);
      if ((mask & (1 << j)) === 0 && (size > most || (Number.isNaN(size) && best < 0))) {
        best = j;
        most = size;
      }
    }
    if (best >= 0) mask |= 1 << best;
  }
  return mask;
}
