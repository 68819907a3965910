// Assistant: a draft model that reads along and continues the text by a few ids. It draws with the seed and draw numbers of the
// model that checks it, so that where both give an id the same chance they choose it together.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { prepare } from '@ao/core';
import { readJsonIfPresent } from '../config/read-json.ts';
import type { CausalLM } from '../models/causal-lm.ts';
import { Decoder } from './decoder.ts';
import type { Sampling } from './options.ts';
import { commonPrefix, type PastKeyValues } from './past-key-values.ts';
import { refusal } from './speculation.ts';

export class Assistant {
  readonly #decoder: Decoder;
  readonly #past: PastKeyValues | undefined;
  readonly #positions: number;
  /** What its cache holds. */
  #read: readonly number[] = [];

  private constructor(decoder: Decoder, positions: number, past: PastKeyValues | undefined) {
    this.#decoder = decoder;
    this.#positions = positions;
    this.#past = past;
  }

  /** Reads the prompt; `length` is the most positions of the text and its drafts. */
  static async open(
    model: CausalLM,
    prompt: readonly number[],
    length: number,
    sampling: Sampling,
    past?: PastKeyValues,
    signal?: AbortSignal,
  ): Promise<Assistant> {
    await prepare(model);
    const positions = Math.min(length, model.maxPositions);
    const opened = past?.open(prompt, positions, sampling.kvCache);
    const assistant = new Assistant(new Decoder(model, 1, positions, sampling, past), positions, past);
    if (prompt.length >= positions) return assistant;
    try {
      await assistant.#decoder.prefill([prompt], signal, opened?.cached);
      assistant.#read = prompt;
      return assistant;
    } catch (error) {
      assistant.close();
      throw error;
    }
  }

  /** Continues `ids`, of which `draws` were chosen, by `count` ids; by none where it has no positions left. */
  async propose(ids: readonly number[], draws: number, count: number): Promise<number[]> {
    const held = Math.min(commonPrefix(this.#read, ids), ids.length - 1);
    if (count === 0 || held === 0 || ids.length + count > this.#positions) return [];
    const behind = ids.slice(held);
    const chosen = await this.#decoder.verify(behind, held, draws - behind.length + 1);
    const steps = Array.from({ length: count - 1 }, () => this.#decoder.step());
    const rest = (await Promise.all(steps)).map((chosen) => chosen.ids[0]!);
    const draft = [chosen[behind.length - 1]!, ...rest];
    this.#read = [...ids, ...draft.slice(0, -1)];
    return draft;
  }

  /** `ids`: the text at its end. */
  close(ids: readonly number[] = []): void {
    this.#decoder.dispose();
    this.#past?.close(this.#read.slice(0, commonPrefix(this.#read, ids)));
  }
}

/** Two models speak of the same ids where their tokenizers have the same vocabulary; folders without one are not compared. */
export async function checkSameVocabulary(model: CausalLM, assistant: CausalLM): Promise<void> {
  const [own, other] = [model.origin?.folder, assistant.origin?.folder];
  if (own === undefined || other === undefined || own === other) return;
  const [a, b] = await Promise.all([own, other].map((folder) => tokenizerBytes(folder)));
  if (a === undefined || b === undefined || a.equals(b)) return;
  const [x, y] = await Promise.all([own, other].map((folder) => vocabulary(folder)));
  const entries = Object.entries(x!);
  const wrong = entries.find(([token, id]) => y![token] !== id);
  if (wrong === undefined && entries.length === Object.keys(y!).length) return;
  throw refusal(
    wrong === undefined
      ? `assistantModel has another tokenizer: ${Object.keys(y!).length} tokens instead of ${entries.length}`
      : `assistantModel has another tokenizer: token ${JSON.stringify(wrong[0])} is ${wrong[1]} here, ${y![wrong[0]] ?? 'absent'} there`,
    'use a smaller model of the same family, or promptLookupNumTokens',
  );
}

const tokenizerBytes = (folder: string): Promise<Buffer | undefined> =>
  readFile(join(folder, 'tokenizer.json')).catch(() => undefined);

/** Token -> id, of the model and added. */
async function vocabulary(folder: string): Promise<Record<string, number>> {
  const json = await readJsonIfPresent(folder, 'tokenizer.json');
  const vocab = (json?.['model'] as { vocab?: unknown } | undefined)?.vocab ?? {};
  const base = Array.isArray(vocab) ? Object.fromEntries(vocab.map(([token], id) => [token, id])) : vocab;
  const added = (json?.['added_tokens'] ?? []) as { content: string; id: number }[];
  return { ...base, ...Object.fromEntries(added.map(({ content, id }) => [content, id])) };
}
