// The rows that a weight's gradient sums over, where they come in blocks.
import { AoError } from '@ao/core';

/** Throws ERR_AO_SHAPE unless `rows` is a multiple of `block`. */
export function requireMultiple(op: string, rows: number, block: number, instead = ''): void {
  if (rows % block === 0) return;
  throw new AoError('ERR_AO_SHAPE', `grad_weight sums over ${rows} rows, no multiple of ${block}`, {
    op,
    fix: `give batch x length a multiple of ${block} ${instead}`.trim(),
  });
}
