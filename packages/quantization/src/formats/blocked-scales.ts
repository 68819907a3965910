// Block scales as Blackwell's tensor cores read them ("swizzled", torchao's to_blocked): scales [R, C], one byte each, padded to
// 128 rows and 4 columns a tile; tiles in row order; within one, scale (r, c) lies at (r % 32) * 16 + floor(r / 32) * 4 + c.
// A matrix of M rows has a swizzled scale of [ceil(M / 128) * 32, ceil(C / 4) * 16].
import { contiguous, permute, reshape, type Tensor, uint8, viewDtype } from '@ao/core';
import { cropped, padded } from '../kinds/short-blocks.ts';

const TILE = [128, 4] as const;

/** Scales [R, C] of a dtype of one byte -> swizzled [ceil(R / 128) * 32, ceil(C / 4) * 16]. */
export function toBlocked(scale: Tensor): Tensor {
  const bytes = padded(viewDtype(scale, uint8), TILE);
  const [rows, columns] = [(bytes.shape[0] as number) / 128, (bytes.shape[1] as number) / 4];
  const tiles = permute(reshape(bytes, [rows, 4, 32, columns, 4]), [0, 3, 2, 1, 4]);
  return viewDtype(reshape(tiles, [rows * 32, columns * 16]), scale.dtype);
}

/** The inverse: swizzled scales -> [rows, columns]. */
export function fromBlocked(blocked: Tensor, rows: number, columns: number): Tensor {
  const [r, c] = [Math.ceil(rows / 128), Math.ceil(columns / 4)];
  const tiles = permute(reshape(viewDtype(blocked, uint8), [r, c, 32, 4, 4]), [0, 3, 2, 1, 4]);
  return viewDtype(contiguous(cropped(reshape(tiles, [r * 128, c * 4]), [rows, columns])), blocked.dtype);
}
