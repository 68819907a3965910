// What a model must not, or should rather not, say next: a bias, penalties for what the text holds already, ids that are
// forbidden. The text so far lives on the device too, so that a captured step needs nothing from the host.
import { float32, int32 } from '../dtypes/index.ts';
import { AoError } from '../errors.ts';
import { defineOp } from '../op.ts';
import { processLogitsReference } from '../reference/process-logits.ts';
import { isDense, type Tensor } from '../tensor.ts';
import { requireDtype, requireNdim, requireShape, shapeError } from './checks.ts';

/** The neutral values change nothing. */
export interface LogitOptions {
  /** Of each id in the text, prompt included: a logit below 0 times it, else divided by it; 1 = neutral. */
  readonly repetitionPenalty: number;
  /** Taken from the logit of each new id, once for each time it was chosen; 0 = neutral. */
  readonly frequencyPenalty: number;
  /** Taken once from the logit of each id that was chosen; 0 = neutral. */
  readonly presencePenalty: number;
  /** No n-gram of the text comes twice; 0 = neutral. */
  readonly noRepeatNgramSize: number;
  /** While there are fewer new ids than this, `ends` are forbidden; 0 = neutral. */
  readonly minNewTokens: number;
}

/** The tensors of one call; an absent one has no effect. */
export interface LogitTensors {
  /** int32 [N, P]: the ids of each row's text; and int32 [N, 2]: how many of them the prompt has, and all. Needed by penalties. */
  readonly history?: Tensor | undefined;
  readonly lengths?: Tensor | undefined;
  /** int32 [N]: the id chosen last, which joins the history first. */
  readonly token?: Tensor | undefined;
  /** float32 [V], added first. */
  readonly bias?: Tensor | undefined;
  /** int32 [E]: the ids that end a text. */
  readonly ends?: Tensor | undefined;
  /** int32 [N, ceil(V / 32)]: bit i % 32 of word i / 32 allows id i. */
  readonly mask?: Tensor | undefined;
}

export type LogitArgs = [
  logits: Tensor,
  history: Tensor | undefined,
  lengths: Tensor | undefined,
  token: Tensor | undefined,
  bias: Tensor | undefined,
  ends: Tensor | undefined,
  mask: Tensor | undefined,
  options: LogitOptions,
];

const processLogitsOp = /*@__PURE__*/ defineOp<LogitArgs>('process_logits_', {
  mutates: 0,
  reference: processLogitsReference,
  meta(logits, history, lengths, token, bias, ends, mask, options) {
    const op = 'process_logits_';
    requireDtype(op, 'logits', logits, [float32]);
    requireNdim(op, 'logits', logits, 2);
    const [rows, V] = logits.shape as [number, number];
    if (history !== undefined) requireNdim(op, 'history', history, 2);
    const ints = { history, lengths, token, ends, mask };
    for (const [name, t] of Object.entries(ints)) if (t !== undefined) requireDtype(op, name, t, [int32]);
    if (bias !== undefined) requireDtype(op, 'bias', bias, [float32]);
    const shapes = [
      ['history', history, [rows, history?.shape[1] ?? 0]],
      ['lengths', lengths, [rows, 2]],
      ['token', token, [rows]],
      ['bias', bias, [V]],
      ['ends', ends, [ends?.numel ?? 0]],
      ['mask', mask, [rows, Math.ceil(V / 32)]],
    ] as const;
    for (const [name, t, shape] of shapes) if (t !== undefined) requireShape(op, name, t, shape);
    for (const [name, t] of Object.entries({ logits, history, lengths })) {
      if (t === undefined || (isDense(t) && t.contiguous)) continue;
      throw shapeError(op, `${name} is written in place: it must be contiguous`, `clone(${name})`);
    }
    const { repetitionPenalty, frequencyPenalty, presencePenalty, noRepeatNgramSize, minNewTokens } = options;
    const finite = [repetitionPenalty, frequencyPenalty, presencePenalty].every(Number.isFinite);
    const counts = [noRepeatNgramSize, minNewTokens].every((n) => Number.isInteger(n) && n >= 0);
    if (!finite || !counts || !(repetitionPenalty > 0))
      throw new AoError('ERR_AO_CONFIG', `options are ${JSON.stringify(options)}`, {
        op,
        fix: 'repetitionPenalty > 0, the other penalties finite, noRepeatNgramSize and minNewTokens whole numbers >= 0',
      });
    if ((history === undefined) !== (lengths === undefined) || (history === undefined && needsHistory(options)))
      throw shapeError(op, 'these options read the text so far', 'give history and lengths');
    return { shape: logits.shape, dtype: logits.dtype };
  },
});

export { processLogitsOp };

/** Whether the options read the text so far: then history and lengths are needed. */
export function needsHistory(o: LogitOptions): boolean {
  const { repetitionPenalty, frequencyPenalty, presencePenalty, noRepeatNgramSize, minNewTokens } = o;
  return (
    repetitionPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0 || noRepeatNgramSize + minNewTokens > 0
  );
}

/**
 * Changes logits (float32 [N, V]) in place; first `token` joins `history`. In the order of transformers' logits processors
 * (generation/logits_process.py): bias (SequenceBias of one id), repetitionPenalty (RepetitionPenaltyLogitsProcessor),
 * frequency and presence (vLLM's apply_penalties, after the repetition penalty; OpenAI's formula: new ids alone count),
 * noRepeatNgramSize (NoRepeatNGramLogitsProcessor), minNewTokens (MinNewTokensLengthLogitsProcessor), mask. Forbidden is
 * -Infinity. float32 math, one rounding an operation. Fails on the device where the history is full or holds an id outside 0 .. V - 1.
 */
export function processLogits_(logits: Tensor, tensors: LogitTensors, options: LogitOptions): Tensor {
  const { history, lengths, token, bias, ends, mask } = tensors;
  return processLogitsOp(logits, history, lengths, token, bias, ends, mask, options);
}
