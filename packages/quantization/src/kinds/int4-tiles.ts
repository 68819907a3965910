// tinygemm's tiles (aten _convert_weight_to_int4pack, inner_k_tiles = 8), as torchao's Int4TilePackedTo4dTensor has them: int32
// [N / 8, K / 128, 32, 4]. Word i of lane l of tile (n, k) is a nibble each, the lowest first, of row 8 n + l / 4 and columns
// 128 k + 32 i + 2 (l % 4) + 0, 8, 16, 24, 1, 9, 17, 25. Rows are padded to 8, columns to 1024; codes are 0..15.
import {
  contiguous,
  type Dense,
  int32,
  packBits,
  permute,
  reshape,
  type Tensor,
  uint8,
  unpackBits,
  viewDtype,
} from '@ao/core';

/** [N, K] with padding. */
export const tiledShape = ([n, k]: readonly [number, number]): [number, number] => [
  Math.ceil(n / 8) * 8,
  Math.ceil(k / 1024) * 1024,
];

/** uint8 codes 0..15 [rows, columns], whole tiles -> int32 words. */
export function packTiles(codes: Tensor): Tensor {
  const [rows, columns] = codes.shape as [number, number];
  const [n, k] = [rows / 8, columns / 128];
  // row 8 r of a tile; of its 128 columns i 32 + a 8 + c 2 + h: lane 4 r + c, word i, nibble 4 h + a
  const tiles = contiguous(permute(reshape(codes, [n, 8, k, 128]), [0, 2, 1, 3]));
  const nibbles = contiguous(permute(reshape(tiles, [n * k * 8, 4, 4, 4, 2]), [0, 3, 1, 4, 2]));
  const words = viewDtype(packBits(reshape(nibbles, [n * k * 128, 8]), 4), int32);
  return reshape(words, [n, k, 32, 4]);
}

/** The inverse. */
export function unpackTiles(words: Tensor): Dense {
  const [n, k] = words.shape as [number, number, number, number];
  const nibbles = unpackBits(viewDtype(reshape(words, [n * k * 128, 1]), uint8), 4, 8, false);
  const tiles = contiguous(permute(reshape(nibbles, [n * k * 8, 4, 4, 2, 4]), [0, 2, 4, 1, 3]));
  return reshape(contiguous(permute(reshape(tiles, [n, k, 8, 128]), [0, 2, 1, 3])), [n * 8, k * 128]) as Dense;
}
