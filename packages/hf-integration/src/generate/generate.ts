// generate(model, prompt, options), generateAll(model, prompts, options): prefill, then steps with at most two in flight,
// until every sequence has ended.
import { AoError, prepare } from '@ao/core';
import type { GenerationConfig } from '../config/generation-config.ts';
import { Matcher } from '../grammar/constraint.ts';
import type { CausalLM, Prompt } from '../models/causal-lm.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { type Chosen, Decoder } from './decoder.ts';
import { Generation, type GenerationResult, type Piece } from './generation.ts';
import { checkBias } from './logit-options.ts';
import { type GenerateOptions, resolveSampling } from './options.ts';
import type { PastKeyValues } from './past-key-values.ts';
import { constraintOf } from './response-format.ts';
import { Sequence } from './sequence.ts';
import { type Run, speculate } from './speculate.ts';
import { resolveSpeculation, type SpeculativeOptions } from './speculation.ts';

export interface GenerateInput extends GenerateOptions, SpeculativeOptions {
  /** Gives pieces and the result their text; needed for a prompt in text, stopStrings and responseFormat. */
  readonly tokenizer?: Tokenizer;
  /** Reads what the prompt begins with from here, and leaves here what was read: of one prompt, for this model. */
  readonly pastKeyValues?: PastKeyValues;
}

/** Plans that may wait in the stream beyond the token being read. */
const IN_FLIGHT = 2;

export function generate(
  model: CausalLM,
  defaults: GenerationConfig,
  prompt: Prompt,
  input: GenerateInput = {},
): Generation {
  const start = plan(model, defaults, [prompt], input);
  if (input.numReturnSequences !== undefined)
    throw new AoError('ERR_AO_CONFIG', 'several sequences are the result of generateAll', { op: 'generate' });
  return new Generation(async function* () {
    return (yield* start())[0]!;
  });
}

/** The prompts in one batch: every step reads the weights once for all sequences that go on. */
export function generateAll(
  model: CausalLM,
  defaults: GenerationConfig,
  prompts: readonly Prompt[],
  input: GenerateInput = {},
): Generation<readonly GenerationResult[]> {
  return new Generation(plan(model, defaults, prompts, input));
}

/** Checks everything; what it returns does the work. */
function plan(
  model: CausalLM,
  defaults: GenerationConfig,
  prompts: readonly Prompt[],
  input: GenerateInput,
): () => AsyncGenerator<Piece, readonly GenerationResult[]> {
  const sampling = resolveSampling(input, defaults);
  const { tokenizer } = input;
  const text = prompts.some((p) => typeof p === 'string');
  const reason = text
    ? 'a prompt in text'
    : (sampling.stopStrings.length > 0 && 'stopStrings') || (sampling.responseFormat && 'responseFormat');
  if (reason && tokenizer === undefined) {
    throw new AoError('ERR_AO_CONFIG', `${reason} without a tokenizer`, {
      op: 'generate',
      fix: 'pass tokenizer: await AutoTokenizer.fromPretrained(folder)',
    });
  }
  const all = prompts.map((p) => (typeof p === 'string' ? tokenizer!.encode(p) : p));
  for (const [i, ids] of all.entries()) checkPrompt(all.length > 1 ? `prompt ${i}` : 'the prompt', ids, model);
  checkBias(sampling.logits, model.vocabSize);
  checkLogprobs(sampling.logprobs, model.vocabSize);
  const each = all.flatMap((ids) => Array.from({ length: sampling.numReturnSequences }, () => ids));
  const { pastKeyValues: past, signal } = input;
  if (past !== undefined && (past.model !== model || each.length > 1)) {
    throw new AoError(
      'ERR_AO_CONFIG',
      `pastKeyValues are for one prompt of ${past.model === model ? 'it' : 'another model'}`,
      {
        op: 'generate',
        fix: 'make new PastKeyValues(model) for each text',
      },
    );
  }
  const speculative = resolveSpeculation(input, model, each.length, sampling);
  const options: Run = { sampling, tokenizer, signal, past };
  return () => (speculative ? speculate(model, each[0]!, speculative, options) : run(model, each, options));
}

function checkLogprobs(k: number | undefined, vocabSize: number): void {
  if (k === undefined || k <= vocabSize) return;
  throw new AoError('ERR_AO_CONFIG', `generate: logprobs is ${k}, the vocabulary has ${vocabSize}`, {
    op: 'generate',
  });
}

function checkPrompt(name: string, ids: readonly number[], model: CausalLM): void {
  const refuse = (message: string, fix: string): never => {
    throw new AoError('ERR_AO_CONFIG', message, { op: 'generate', fix });
  };
  if (ids.length === 0) refuse(`${name} has no tokens`, 'begin with the model’s BOS id');
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= model.vocabSize);
  if (wrong !== undefined) {
    refuse(`id ${wrong} is not in the vocabulary of ${model.vocabSize} (${name})`, 'use the tokenizer of this model');
  }
  if (ids.length >= model.maxPositions)
    refuse(`${name} has ${ids.length} tokens, the model ${model.maxPositions} positions`, 'shorten the prompt');
}

async function* run(
  model: CausalLM,
  prompts: readonly (readonly number[])[],
  { sampling, tokenizer, signal, past }: Run,
): AsyncGenerator<Piece, readonly GenerationResult[]> {
  signal?.throwIfAborted();
  const rooms = prompts.map((ids) => {
    const room = model.maxPositions - ids.length;
    return Math.min(sampling.maxNewTokens ?? room, room);
  });
  const { responseFormat, eosTokenIds: ends } = sampling;
  const constraint =
    responseFormat &&
    (await constraintOf(responseFormat, tokenizer!, { vocabSize: model.vocabSize, ends, most: Math.min(...rooms) }));
  await prepare(model);
  const sequences = prompts.map(
    (ids, i) => new Sequence(ids, rooms[i]!, sampling, tokenizer, constraint && new Matcher(constraint)),
  );
  // what may follow a token is known when the token is
  const inFlight = constraint ? 1 : IN_FLIGHT;
  // steps in flight when a sequence ends still write its next positions
  const length = Math.max(...sequences.map((s) => s.promptIds.length + s.most)) + IN_FLIGHT;
  const cached = past?.open(prompts[0]!, length, sampling.kvCache).cached ?? 0;
  const decoder = new Decoder(model, sequences.length, length, sampling, past);
  let failed = false;
  const queue: Promise<Chosen>[] = [];
  const allow = (): void => {
    if (constraint) for (const [b, s] of sequences.entries()) if (!s.ended) decoder.allow(b, s.mask());
  };
  try {
    const start = performance.now();
    allow();
    let chosen = await decoder.prefill(prompts, signal, cached);
    const first = performance.now();
    let now = first;
    for (;;) {
      for (const [sequence, s] of sequences.entries()) {
        if (s.ended) continue;
        const id = chosen.ids[sequence]!;
        const logprob = chosen.logprobs?.[sequence];
        yield { sequence, id, text: s.push(id, now, logprob), ...(logprob && { logprob }) };
        signal?.throwIfAborted();
        if (s.ended) decoder.leave(sequence);
      }
      const left = Math.max(...sequences.map((s) => (s.ended ? 0 : s.most - s.ids.length)));
      if (left === 0) break;
      allow();
      while (queue.length < Math.min(inFlight, left)) {
        const next = decoder.step();
        // one that fails while nobody waits for it is reported when its turn comes
        next.catch(() => {});
        queue.push(next);
      }
      chosen = await queue.shift()!;
      now = performance.now();
    }
    return sequences.map((s) => s.result(start, first, cached));
  } catch (error) {
    failed = signal?.aborted !== true;
    throw error;
  } finally {
    // steps that nobody waits for any more still run: the tensors they use are freed after them
    await Promise.allSettled(queue);
    decoder.dispose();
    past?.close(failed ? undefined : sequences[0]!.read(past.ids));
  }
}
