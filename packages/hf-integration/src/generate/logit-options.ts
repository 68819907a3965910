// Options that change logits before a token is chosen: penalties, bias, a least length. Named and computed as transformers'
// logits processors, presence and frequency as vLLM and OpenAI; processLogits_ of @ao/core has the formulas and their order.
import { AoError, type LogitOptions, needsHistory } from '@ao/core';
import type { GenerationConfig } from '../config/generation-config.ts';

export interface LogitInput {
  /** Logits of ids in the text, prompt included: those below 0 times this, others divided by it. 1 = none; above 1 repeats less. */
  readonly repetitionPenalty?: number;
  /** Taken once from the logit of each id chosen so far. 0 = none. */
  readonly presencePenalty?: number;
  /** Taken from the logit of each id once for each time it was chosen so far. 0 = none. */
  readonly frequencyPenalty?: number;
  /** Added to the logit of an id; -Infinity forbids it. */
  readonly logitBias?: Readonly<Record<number, number>>;
  /** No n ids in a row come twice, prompt included. */
  readonly noRepeatNgramSize?: number;
  /** No end id is chosen before so many new tokens. */
  readonly minNewTokens?: number;
}

/** What `resolveLogits` gives; undefined in Sampling where nothing is asked. */
export interface LogitRules {
  readonly options: LogitOptions;
  readonly bias: ReadonlyMap<number, number>;
}

export function resolveLogits(input: LogitInput, defaults: GenerationConfig): LogitRules | undefined {
  const {
    repetitionPenalty = defaults.repetitionPenalty ?? 1,
    presencePenalty = 0,
    frequencyPenalty = 0,
    noRepeatNgramSize = defaults.noRepeatNgramSize ?? 0,
    minNewTokens = defaults.minNewTokens ?? 0,
    logitBias = {},
  } = input;
  check('repetitionPenalty', repetitionPenalty, repetitionPenalty > 0 && repetitionPenalty < Infinity, 'above 0');
  check('presencePenalty', presencePenalty, Number.isFinite(presencePenalty), 'a finite number');
  check('frequencyPenalty', frequencyPenalty, Number.isFinite(frequencyPenalty), 'a finite number');
  for (const [name, value] of Object.entries({ noRepeatNgramSize, minNewTokens }))
    check(name, value, Number.isInteger(value) && value >= 0, 'a whole number from 0');
  const bias = new Map(Object.entries(logitBias).map(([id, value]) => [Number(id), value]));
  for (const [id, value] of bias) {
    check('an id of logitBias', id, Number.isInteger(id) && id >= 0, 'a token id');
    check(`logitBias of ${id}`, value, typeof value === 'number' && value < Infinity, 'a number, or -Infinity');
  }
  const options = { repetitionPenalty, presencePenalty, frequencyPenalty, noRepeatNgramSize, minNewTokens };
  return needsHistory(options) || bias.size > 0 ? { options, bias } : undefined;
}

/** Ids of logitBias are of the model's vocabulary. */
export function checkBias(rules: LogitRules | undefined, vocabSize: number): void {
  for (const id of rules?.bias.keys() ?? [])
    check('an id of logitBias', id, id < vocabSize, `below the vocabulary's ${vocabSize}`);
}

function check(name: string, value: unknown, ok: boolean, wanted: string): void {
  if (ok) return;
  throw new AoError('ERR_AO_CONFIG', `generate: ${name} is ${String(value)}; it must be ${wanted}`, {
    op: 'generate',
  });
}
