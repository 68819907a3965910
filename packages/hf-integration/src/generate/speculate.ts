// speculate(model, prompt, ...): decoding with drafts. A round reads the last id and k proposed ones in one call, which chooses
// an id after each; proposals are accepted up to the first that is not the model's own choice, and that choice is kept as well.
// Rows of a call are bit for bit the steps of plain decoding, and the draw of an id depends on its number alone: the text is
// that of plain decoding, greedy or drawn. For a draft that is one id, accepting where the model's draw equals it is the
// rejection rule of speculative sampling (Leviathan et al. 2023, arXiv:2211.17192).
import { prepare } from '@ao/core';
import type { CausalLM } from '../models/causal-lm.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { Assistant, checkSameVocabulary } from './assistant.ts';
import { Decoder } from './decoder.ts';
import type { GenerationResult, Piece } from './generation.ts';
import type { Sampling } from './options.ts';
import type { PastKeyValues } from './past-key-values.ts';
import { promptLookup } from './prompt-lookup.ts';
import { Sequence } from './sequence.ts';
import type { Speculative } from './speculation.ts';

export interface Run {
  readonly sampling: Sampling;
  readonly tokenizer: Tokenizer | undefined;
  readonly signal: AbortSignal | undefined;
  readonly past: PastKeyValues | undefined;
}

export async function* speculate(
  model: CausalLM,
  prompt: readonly number[],
  how: Speculative,
  { sampling, tokenizer, signal, past }: Run,
): AsyncGenerator<Piece, readonly GenerationResult[]> {
  signal?.throwIfAborted();
  if (how.kind === 'assistant') await checkSameVocabulary(model, how.model);
  await prepare(model);
  const room = model.maxPositions - prompt.length;
  const s = new Sequence(prompt, Math.min(sampling.maxNewTokens ?? room, room), sampling, tokenizer);
  const length = prompt.length + s.most;
  const cached = past?.open(prompt, length, sampling.kvCache).cached ?? 0;
  const decoder = new Decoder(model, 1, length, sampling, past);
  let assistant: Assistant | undefined;
  let failed = false;
  let drafted = 0;
  let accepted = 0;
  let rounds = 0;
  try {
    const start = performance.now();
    const ids = [...prompt];
    const push = (id: number, now: number): Piece => {
      ids.push(id);
      return { sequence: 0, id, text: s.push(id, now) };
    };
    const { ids: tokens } = await decoder.prefill([prompt], signal, cached);
    const first = performance.now();
    yield push(tokens[0]!, first);
    if (how.kind === 'assistant' && !s.ended)
      assistant = await Assistant.open(how.model, prompt, length, sampling, past?.assistant(how.model), signal);
    while (!s.ended) {
      signal?.throwIfAborted();
      const most = Math.min(how.count, s.most - s.ids.length - 1);
      const draft =
        how.kind === 'lookup'
          ? promptLookup(ids, how.ngram, most)
          : ((await assistant?.propose(ids, s.ids.length, most)) ?? []);
      const chosen = await decoder.verify([ids.at(-1)!, ...draft], ids.length - 1, s.ids.length);
      const now = performance.now();
      rounds++;
      drafted += draft.length;
      for (let n = 0; n <= draft.length && !s.ended; n++) {
        const id = chosen[n]!;
        const agreed = id === draft[n];
        if (agreed) accepted++;
        yield push(id, now);
        signal?.throwIfAborted();
        if (!agreed) break;
      }
    }
    const acceptanceRate = drafted === 0 ? 0 : accepted / drafted;
    return [{ ...s.result(start, first, cached), speculation: { drafted, accepted, acceptanceRate, rounds } }];
  } catch (error) {
    failed = signal?.aborted !== true;
    throw error;
  } finally {
    decoder.dispose();
    past?.close(failed ? undefined : s.read(past.ids));
    assistant?.close(failed ? undefined : [...prompt, ...s.ids]);
  }
}
