// embedTexts(model, texts, ...): texts to ids, in batches of like lengths, padded and masked, through the model and its pooling.
// A text's vector is bit for bit the one it has alone: no token sees padding, and pooling leaves it out.
import { AoError, int32, prepare, scope, tensor } from '@ao/core';
import type { TextEncoder } from '../models/encoders/text-encoder.ts';
import { encodeWithin } from '../tokenizer/encode-within.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { POOLINGS, type Pooling, pool, vectors } from './pooling.ts';

/** Text, or token ids with the special ones. */
export type TextInput = string | readonly number[];

export interface EmbedInput {
  /** Needed for texts. */
  readonly tokenizer?: Tokenizer;
  /** Default: what modules.json says, else 'mean'. */
  readonly pooling?: Pooling;
  /** Scale each vector to length 1. Default: whether modules.json has Normalize, else false. */
  readonly normalize?: boolean;
  /** Most texts at a time; default 32. */
  readonly batchSize?: number;
  /** Longer texts are cut to this many tokens, the special ones kept. Default: sentence_bert_config.json's, else the model's positions. */
  readonly maxLength?: number;
  readonly signal?: AbortSignal;
}

export async function embedTexts(
  model: TextEncoder,
  texts: readonly TextInput[],
  input: EmbedInput,
): Promise<Float32Array[]> {
  const { sentence } = model;
  const { pooling = sentence.pooling ?? 'mean', normalize = sentence.normalize ?? false, batchSize = 32 } = input;
  if (!POOLINGS.includes(pooling)) throw refuse(`pooling is '${pooling}'`, `use ${POOLINGS.join(' or ')}`);
  if (!Number.isInteger(batchSize) || batchSize < 1) throw refuse(`batchSize is ${batchSize}`, 'give 1 or more');
  const all = idsOf(model, texts, input);
  await prepare(model);
  const out = new Array<Float32Array>(texts.length);
  const order = all.map((_, i) => i).sort((a, b) => all[b]!.length - all[a]!.length);
  for (let at = 0; at < order.length; at += batchSize) {
    input.signal?.throwIfAborted();
    const batch = order.slice(at, at + batchSize);
    const rows = await encode(
      model,
      batch.map((i) => all[i]!),
      pooling,
      normalize,
    );
    for (const [row, i] of batch.entries()) out[i] = rows[row]!;
  }
  return out;
}

async function encode(
  model: TextEncoder,
  rows: readonly (readonly number[])[],
  pooling: Pooling,
  normalize: boolean,
): Promise<Float32Array[]> {
  const { rt, device } = model;
  const lengths = rows.map((ids) => ids.length);
  const most = Math.max(...lengths);
  const padded = (of: (row: number, t: number) => number): Int32Array =>
    Int32Array.from({ length: rows.length * most }, (_, i) => of(Math.floor(i / most), i % most));
  const place = { shape: [rows.length, most], dtype: int32, device };
  using pooled = scope(() => {
    const inputIds = tensor(
      rt,
      padded((row, t) => rows[row]![t] ?? model.padTokenId),
      place,
    );
    const ragged = lengths.some((n) => n < most);
    const attentionMask = ragged
      ? tensor(
          rt,
          padded((row, t) => (t < lengths[row]! ? 1 : 0)),
          place,
        )
      : undefined;
    const { lastHiddenState } = model.call(inputIds, attentionMask === undefined ? {} : { attentionMask });
    return pool(lastHiddenState, pooling, lengths);
  });
  return vectors(await pooled.data(), rows.length, normalize);
}

function idsOf(model: TextEncoder, texts: readonly TextInput[], input: EmbedInput): (readonly number[])[] {
  const { tokenizer } = input;
  const most = Math.min(input.maxLength ?? model.sentence.maxSeqLength ?? model.maxPositions, model.maxPositions);
  return texts.map((text, i) => {
    if (typeof text !== 'string') return checked(text, i, model);
    if (tokenizer !== undefined) return checked(encodeWithin(tokenizer, text, most), i, model);
    throw refuse('a text without a tokenizer', 'pass tokenizer: await AutoTokenizer.fromPretrained(folder)');
  });
}

function checked(ids: readonly number[], i: number, model: TextEncoder): readonly number[] {
  if (ids.length === 0) throw refuse(`text ${i} has no tokens`, 'give a text, or its ids with [CLS] and [SEP]');
  if (ids.length > model.maxPositions)
    throw refuse(`text ${i} has ${ids.length} tokens, the model ${model.maxPositions} positions`, 'cut it');
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= model.vocabSize);
  if (wrong === undefined) return ids;
  throw refuse(
    `id ${wrong} is not in the vocabulary of ${model.vocabSize} (text ${i})`,
    'use the tokenizer of this model',
  );
}

function refuse(message: string, fix: string): AoError {
  return new AoError('ERR_AO_CONFIG', message, { op: 'embed', fix });
}
