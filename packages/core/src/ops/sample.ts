// Choosing the next token on the device, so that decoding never waits for the host; and counters in tensors.
import { int32 } from '../dtypes/index.ts';
import { AoError } from '../errors.ts';
import { defineOp } from '../op.ts';
import { sampleReference } from '../reference/sample.ts';
import { isDense, type Tensor } from '../tensor.ts';
import { requireDtype, requireFloat, requireNdim, requireShape, shapeError } from './checks.ts';

export interface SampleOptions {
  /** 0 = greedy: the first of the largest logits. */
  readonly temperature: number;
  /** Keep the k most likely; 0 = all. */
  readonly topK: number;
  /** Keep the most likely until their probabilities reach p; 1 = all. */
  readonly topP: number;
  /** Drop what is less likely than minP times the likeliest; 0 (default) = none. */
  readonly minP?: number;
}

export type SampleArgs = [token: Tensor, logits: Tensor, state: Tensor, options: SampleOptions];

/**
 * Writes one token for each row of logits [N, V]: token is int32 [N]. state is int32 [N, 2]: of each row the Philox4x32-10
 * key (seed) and a call counter that each call raises by one, so a row draws the same alone and among others. Temperature first,
 * then top-k, then top-p, then min-p, as transformers' warpers (generation/logits_process.py).
 */
export const sample_ = /*@__PURE__*/ defineOp<SampleArgs>('sample_', {
  mutates: 0,
  reference: sampleReference,
  meta(token, logits, state, options) {
    requireDtype('sample_', 'token', token, [int32]);
    requireFloat('sample_', 'logits', logits);
    requireNdim('sample_', 'logits', logits, 2);
    const rows = logits.shape[0]!;
    requireShape('sample_', 'token', token, [rows]);
    requireDtype('sample_', 'state', state, [int32]);
    requireShape('sample_', 'state', state, [rows, 2]);
    if (!isDense(state) || !state.contiguous)
      throw shapeError('sample_', 'state is written in place: it must be contiguous', 'clone(state)');
    const { temperature, topK, topP, minP = 0 } = options;
    if (
      !(temperature >= 0) ||
      !(topK >= 0) ||
      !Number.isInteger(topK) ||
      !(topP > 0 && topP <= 1) ||
      !(minP >= 0 && minP <= 1)
    ) {
      throw new AoError('ERR_AO_CONFIG', `temperature ${temperature}, topK ${topK}, topP ${topP}, minP ${minP}`, {
        op: 'sample_',
        fix: 'temperature >= 0, topK a whole number >= 0, topP in (0, 1], minP in [0, 1]',
      });
    }
    return { shape: token.shape, dtype: int32 };
  },
});

/** x + value in place, for counters (int32) and accumulators. */
export const addScalar_ = /*@__PURE__*/ defineOp<[x: Tensor, value: number]>('add_scalar_', {
  mutates: 0,
  meta: (x) => ({ shape: x.shape, dtype: x.dtype }),
});
