// Dropout whose mask is a function of a counter: out = x / (1 - p) where the element's random word is at least p 2^32, else 0.
import { int32 } from '../../dtypes/index.ts';
import { AoError } from '../../errors.ts';
import { defineOp } from '../../op.ts';
import { requireDtype, requireFloat, requireShape } from '../../ops/checks.ts';
import { randomWords, requireState } from '../../random-words.ts';
import { rounding, store, valuesOf } from '../../reference/memory.ts';
import type { Dense, Tensor } from '../../tensor.ts';

function requireProbability(op: string, p: number): void {
  if (p >= 0 && p < 1) return;
  throw new AoError('ERR_AO_CONFIG', `p is ${p}`, { op, fix: 'give the share of elements to drop, in [0, 1)' });
}

function drop(out: Dense, x: Dense, p: number, state: Dense): void {
  const [seed, call] = valuesOf(state);
  const least = Math.floor(p * 2 ** 32);
  const scale = rounding(x)(1 / (1 - p));
  const words = randomWords(seed!, call!, x.numel);
  store(
    out,
    Float64Array.from(valuesOf(x), (v, i) => (words[i]! >= least ? rounding(x)(v * scale) : 0)),
  );
}

/**
 * [y, saved]: y of x's shape; saved int32 [2] is what the mask was drawn by, for dropoutBackward. state int32 [2], {seed, call}: its call
 * is raised by one, so that a replay draws another mask.
 */
export const dropout = /*@__PURE__*/ defineOp<[x: Tensor, p: number, state: Tensor], [y: Tensor, saved: Tensor]>(
  'dropout',
  {
    reference([y, saved]: Dense[], x: Dense, p: number, state: Dense) {
      const [seed, call] = valuesOf(state);
      store(saved!, [seed!, call!]);
      drop(y!, x, p, saved!);
      store(state, [seed!, (call! + 1) | 0]);
    },
    meta(x, p, state) {
      requireFloat('dropout', 'x', x);
      requireProbability('dropout', p);
      requireState('dropout', state);
      return [
        { shape: x.shape, dtype: x.dtype },
        { shape: [2], dtype: int32 },
      ];
    },
  },
);

/** g / (1 - p) where dropout kept its input, else 0. */
export const dropoutBackward = /*@__PURE__*/ defineOp<[g: Tensor, p: number, saved: Tensor]>('dropout_backward', {
  reference: (out: Dense, g: Dense, p: number, saved: Dense) => drop(out, g, p, saved),
  meta(g, p, saved) {
    requireFloat('dropout_backward', 'g', g);
    requireProbability('dropout_backward', p);
    requireDtype('dropout_backward', 'saved', saved, [int32]);
    requireShape('dropout_backward', 'saved', saved, [2]);
    return { shape: g.shape, dtype: g.dtype };
  },
});
