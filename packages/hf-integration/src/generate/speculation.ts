// SpeculativeOptions -> a plan of drafting: where proposals come from and how many ids one holds.
import { AoError } from '@ao/core';
import type { CausalLM } from '../models/causal-lm.ts';
import type { Sampling } from './options.ts';

/**
 * Several ids a call instead of one: a cheap guess proposes them, one call of the model reads them all, and those that it
 * would have chosen itself are kept. The ids are the ones that plain decoding gives, drawn ones with the same seed too.
 */
export interface SpeculativeOptions {
  /** Guesses what followed the last time that the text held its last ids: so many ids. For texts that repeat themselves. */
  readonly promptLookupNumTokens?: number;
  /** Most ids that are looked for in the text. Default 2. */
  readonly maxMatchingNgramSize?: number;
  /** Guesses by a smaller model with the same tokenizer. */
  readonly assistantModel?: CausalLM;
  /** Ids that the assistant proposes for each call. Default 3: the cpu reads four rows about as fast as one. */
  readonly numAssistantTokens?: number;
}

export type Speculative =
  | { readonly kind: 'lookup'; readonly count: number; readonly ngram: number }
  | { readonly kind: 'assistant'; readonly count: number; readonly model: CausalLM };

/** undefined where nothing asks for it. */
export function resolveSpeculation(
  options: SpeculativeOptions,
  model: CausalLM,
  sequences: number,
  { logits, responseFormat, logprobs }: Pick<Sampling, 'logits' | 'responseFormat' | 'logprobs'>,
): Speculative | undefined {
  const { promptLookupNumTokens, maxMatchingNgramSize, assistantModel, numAssistantTokens } = options;
  const counts = { promptLookupNumTokens, maxMatchingNgramSize, numAssistantTokens };
  for (const [name, value] of Object.entries(counts)) {
    if (value !== undefined && !(Number.isInteger(value) && value >= 1))
      throw refusal(`${name} is ${JSON.stringify(value)}`, 'give a whole number from 1');
  }
  if (promptLookupNumTokens === undefined && maxMatchingNgramSize !== undefined)
    throw refusal('maxMatchingNgramSize without promptLookupNumTokens', 'give both');
  if (assistantModel === undefined && numAssistantTokens !== undefined)
    throw refusal('numAssistantTokens without assistantModel', 'give both');
  if (promptLookupNumTokens === undefined && assistantModel === undefined) return undefined;
  if (promptLookupNumTokens !== undefined && assistantModel !== undefined)
    throw refusal('both promptLookupNumTokens and assistantModel are given', 'give one of them');
  if (sequences > 1) throw refusal(`${sequences} sequences cannot speculate together`, 'generate them one by one');
  const single = Object.entries({ 'penalties and biases': logits, responseFormat, logprobs });
  const wanted = single.find(([, value]) => value !== undefined);
  if (wanted) throw refusal(`${wanted[0]} cannot be combined with speculation`, 'leave out one of them');
  if (assistantModel === undefined)
    return { kind: 'lookup', count: promptLookupNumTokens!, ngram: maxMatchingNgramSize ?? 2 };
  if (assistantModel.vocabSize !== model.vocabSize) {
    throw refusal(
      `assistantModel has a vocabulary of ${assistantModel.vocabSize}, the model one of ${model.vocabSize}`,
      'use a smaller model of the same family, or promptLookupNumTokens',
    );
  }
  return { kind: 'assistant', count: numAssistantTokens ?? 3, model: assistantModel };
}

export function refusal(message: string, fix: string): AoError {
  return new AoError('ERR_AO_CONFIG', `generate: ${message}`, { op: 'generate', fix });
}
