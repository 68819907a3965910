// Log-likelihoods of texts by the rules of lm-evaluation-harness (HFLM): text is encoded with the tokenizer's special tokens
// unless it starts with the BOS text itself; context and continuation are encoded as one text and cut behind the context's ids;
// what is too long loses its beginning; a whole text is cut into windows, each of whose ids is predicted once.
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { LogLikelihood } from './log-likelihood.ts';
import { SPACE } from './python-text.ts';

export class TextLikelihood {
  readonly #tokenizer: Tokenizer;
  readonly #model: LogLikelihood;
  readonly #maxLength: number;
  /** What the first id of a text is predicted from. */
  readonly #prefix: number;

  /** `maxLength`: most ids that are read at a time. */
  constructor(model: LogLikelihood, tokenizer: Tokenizer, maxLength: number) {
    this.#model = model;
    this.#tokenizer = tokenizer;
    this.#maxLength = maxLength;
    this.#prefix = tokenizer.bosTokenId ?? tokenizer.eosTokenId ?? 0;
  }

  #encode(text: string): number[] {
    const start = this.#tokenizer.decode([this.#prefix], { skipSpecialTokens: false });
    return this.#tokenizer.encode(text, { addSpecialTokens: !text.startsWith(start) });
  }

  /** log p(continuation | context) in nats. */
  async conditional(context: string, continuation: string): Promise<number> {
    const cut = context.search(new RegExp(`[${SPACE}]*$`));
    const before = this.#encode(context.slice(0, cut));
    const all = this.#encode(context + continuation);
    const ids = all.slice(before.length);
    return this.#model.score([...before, ...ids].slice(-(this.#maxLength + 1)), ids.length);
  }

  /** log p(text) in nats; 0 of an empty one. */
  async rolling(text: string): Promise<number> {
    const ids = this.#encode(text);
    const all = [this.#prefix, ...ids];
    let sum = 0;
    for (let done = 0; done < ids.length; ) {
      // the first window starts at the text's; later ones end as late as they can and predict what is new
      const end = Math.min(done + this.#maxLength, ids.length);
      // the context does not overlap with what is predicted: of a full window one id, of the last one what room is left
      const from = done === 0 ? 0 : end - this.#maxLength;
      sum += await this.#model.score(all.slice(from, end + 1), end - done);
      done = end;
    }
    return sum;
  }
}
