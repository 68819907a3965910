// generate(model, prompt, options): prefill, then steps with at most two in flight, until an end id, a stop string or the
// token limit.
import { AoError, prepare } from '@ao/core';
import type { GenerationConfig } from '../config/generation-config.ts';
import type { CausalLM } from '../models/causal-lm.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { Decoder } from './decoder.ts';
import { type FinishReason, Generation, type GenerationResult, type Piece } from './generation.ts';
import { type GenerateOptions, resolveSampling, type Sampling } from './options.ts';
import { StopStrings } from './stop-strings.ts';

export interface GenerateInput extends GenerateOptions {
  /** Gives pieces and the result their text; needed for a prompt in text and for stopStrings. */
  readonly tokenizer?: Tokenizer;
}

/** Plans that may wait in the stream beyond the token being read. */
const IN_FLIGHT = 2;

export function generate(
  model: CausalLM,
  defaults: GenerationConfig,
  prompt: string | readonly number[],
  input: GenerateInput = {},
): Generation {
  const sampling = resolveSampling(input, defaults);
  const { tokenizer } = input;
  if ((typeof prompt === 'string' || sampling.stopStrings.length > 0) && tokenizer === undefined) {
    throw new AoError(
      'ERR_AO_CONFIG',
      `${typeof prompt === 'string' ? 'a prompt in text' : 'stopStrings'} without a tokenizer`,
      {
        op: 'generate',
        fix: 'pass tokenizer: await AutoTokenizer.fromPretrained(folder)',
      },
    );
  }
  const promptIds = typeof prompt === 'string' ? tokenizer!.encode(prompt) : prompt;
  checkPrompt(promptIds, model);
  return new Generation(() => run(model, promptIds, sampling, tokenizer, input.signal));
}

function checkPrompt(ids: readonly number[], model: CausalLM): void {
  const refuse = (message: string, fix: string): never => {
    throw new AoError('ERR_AO_CONFIG', message, { op: 'generate', fix });
  };
  if (ids.length === 0) refuse('the prompt has no tokens', 'begin with the model’s BOS id');
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= model.vocabSize);
  if (wrong !== undefined)
    refuse(`id ${wrong} is not in the vocabulary of ${model.vocabSize}`, 'use the tokenizer of this model');
  if (ids.length >= model.maxPositions) {
    refuse(`the prompt has ${ids.length} tokens, the model ${model.maxPositions} positions`, 'shorten the prompt');
  }
}

async function* run(
  model: CausalLM,
  promptIds: readonly number[],
  sampling: Sampling,
  tokenizer: Tokenizer | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Piece, GenerationResult> {
  signal?.throwIfAborted();
  await prepare(model);
  const room = model.maxPositions - promptIds.length;
  const most = Math.min(sampling.maxNewTokens ?? room, room);
  const text = new TextOut(tokenizer, sampling.stopStrings);
  const decoder = new Decoder(model, promptIds.length + most, sampling);
  const queue: Promise<number>[] = [];
  const ids: number[] = [];
  let finishReason: FinishReason = 'length';
  try {
    const start = performance.now();
    let id = await decoder.prefill(promptIds, signal);
    const first = performance.now();
    let last = first;
    for (;;) {
      ids.push(id);
      if (sampling.eosTokenIds.has(id)) finishReason = 'stop';
      const piece = finishReason === 'stop' ? '' : text.push(id);
      if (text.stopped) finishReason = 'stop';
      const ended = finishReason === 'stop' || ids.length >= most;
      yield { id, text: ended ? piece + text.end() : piece };
      signal?.throwIfAborted();
      if (ended) break;
      while (queue.length < Math.min(IN_FLIGHT, most - ids.length)) {
        const next = decoder.step();
        // one that fails while nobody waits for it is reported when its turn comes
        next.catch(() => {});
        queue.push(next);
      }
      id = await queue.shift()!;
      last = performance.now();
    }
    return {
      promptIds,
      ids,
      text: text.all,
      finishReason,
      prefillTokensPerSecond: (promptIds.length / (first - start)) * 1000,
      decodeTokensPerSecond: ids.length > 1 ? ((ids.length - 1) / (last - first)) * 1000 : 0,
    };
  } finally {
    // steps that nobody waits for any more still run: the tensors they use are freed after them
    await Promise.allSettled(queue);
    decoder.dispose();
  }
}

/** Ids to text, up to a stop string. */
class TextOut {
  all = '';
  readonly #stream: ReturnType<Tokenizer['stream']> | undefined;
  readonly #stops: StopStrings;

  constructor(tokenizer: Tokenizer | undefined, stops: readonly string[]) {
    this.#stream = tokenizer?.stream();
    this.#stops = new StopStrings(stops);
  }

  get stopped(): boolean {
    return this.#stops.matched !== undefined;
  }

  push(id: number): string {
    return this.#add(this.#stream === undefined ? '' : this.#stops.push(this.#stream.push(id)));
  }

  end(): string {
    if (this.stopped) return '';
    return this.#add(this.#stops.push(this.#stream?.end() ?? '') + this.#stops.end());
  }

  #add(piece: string): string {
    this.all += piece;
    return piece;
  }
}
