// Which values a mask may drop: of each four neighbours two ('2:4'), or a share of a row or of the whole matrix. Scores decide: the
// lowest go, of equal ones those that come first.
import { AoError } from '@ao/core';

export type Pattern = '2:4' | { readonly sparsity: number; readonly over: 'row' | 'layer' };

function checkPattern(pattern: Pattern, K: number): void {
  if (pattern === '2:4') {
    if (K % 4 === 0) return;
    throw new AoError('ERR_AO_SHAPE', `rows of ${K} values have no whole groups of four`, { fix: 'leave them dense' });
  }
  if (pattern.sparsity >= 0 && pattern.sparsity < 1) return;
  throw new AoError('ERR_AO_CONFIG', `a sparsity of ${pattern.sparsity}`, { fix: 'give a share from 0 to below 1' });
}

/** uint8 [N, K], 1 = kept, for scores [N, K]. Throws ERR_AO_CONFIG or ERR_AO_SHAPE for patterns that do not fit. */
export function maskOf(scores: Float32Array | Float64Array, N: number, K: number, pattern: Pattern): Uint8Array {
  checkPattern(pattern, K);
  const size = pattern === '2:4' ? 4 : pattern.over === 'row' ? K : N * K;
  const dropped = pattern === '2:4' ? 2 : Math.floor(size * pattern.sparsity);
  const mask = new Uint8Array(N * K).fill(1);
  const order = Uint32Array.from({ length: size }, (_, i) => i);
  for (let at = 0; at < N * K; at += size) {
    for (let i = 0; i < size; i++) order[i] = i;
    order.sort((a, b) => scores[at + a]! - scores[at + b]! || a - b);
    for (let i = 0; i < dropped; i++) mask[at + order[i]!] = 0;
  }
  return mask;
}

export const shownPattern = (pattern: Pattern): string =>
  pattern === '2:4' ? '2:4' : `${pattern.sparsity} of a ${pattern.over}`;
