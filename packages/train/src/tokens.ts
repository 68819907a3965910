// Token files: documents as one row of ids, each document ended by the end-of-sequence id; a safetensors file with `ids` in uint16 where
// the vocabulary fits, else uint32, which is read by ranges and never as a whole.
import { AoError, type ByteSink, type ByteSource, openSafetensors, writeSafetensors } from '@ao/core';

export interface TokenFileOptions {
  /** Ends each document; written once where a document ends with it already. */
  readonly eosTokenId: number;
  /** Ids lie below it. */
  readonly vocabSize: number;
  readonly signal?: AbortSignal;
}

export interface Tokens {
  /** Ids in all. */
  readonly length: number;
  readonly vocabSize: number;
  readonly eosTokenId: number;
  /** Ids begin to end. */
  read(begin: number, end: number): Promise<Int32Array>;
}

const FORMAT = 'ao-tokens-1';

/** Ids in pieces, so that no array is ever copied to grow. */
class Pieces {
  readonly #wide: boolean;
  readonly pieces: Uint8Array[] = [];
  length = 0;

  constructor(vocabSize: number) {
    this.#wide = vocabSize > 65_536;
  }

  get dtype(): string {
    return this.#wide ? 'U32' : 'U16';
  }

  push(ids: readonly number[]): void {
    if (ids.length === 0) return;
    const codes = this.#wide ? Uint32Array.from(ids) : Uint16Array.from(ids);
    this.pieces.push(new Uint8Array(codes.buffer));
    this.length += ids.length;
  }
}

/**
 * Writes the ids of documents; returns how many ids the file has. Throws ERR_AO_CONFIG at an id outside the vocabulary and where there is no
 * document, and leaves nothing behind then.
 */
export async function writeTokens(
  sink: ByteSink,
  documents: Iterable<readonly number[]> | AsyncIterable<readonly number[]>,
  options: TokenFileOptions,
): Promise<number> {
  const { eosTokenId, vocabSize, signal } = options;
  const pieces = new Pieces(vocabSize);
  let count = 0;
  try {
    for await (const ids of documents) {
      signal?.throwIfAborted();
      const wrong = [...ids, eosTokenId].find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabSize));
      if (wrong !== undefined)
        throw new AoError('ERR_AO_CONFIG', `document ${count} has id ${wrong}, the vocabulary has ${vocabSize}`, {
          op: 'writeTokens',
          fix: 'use the tokenizer that belongs to the model',
        });
      pieces.push(ids);
      if (ids.at(-1) !== eosTokenId) pieces.push([eosTokenId]);
      count += 1;
    }
    if (count === 0)
      throw new AoError('ERR_AO_CONFIG', 'there is no document', { op: 'writeTokens', fix: 'give a text' });
  } catch (error) {
    await sink.abort();
    throw error;
  }
  const all = async function* (): AsyncGenerator<Uint8Array> {
    yield* pieces.pieces;
  };
  const items = [{ name: 'ids', dtype: pieces.dtype, shape: [pieces.length] }];
  const metadata = {
    format: FORMAT,
    eos_token_id: String(eosTokenId),
    vocab_size: String(vocabSize),
    documents: String(count),
  };
  await writeSafetensors(sink, items, all, { metadata, ...(signal === undefined ? {} : { signal }) });
  return pieces.length;
}

/** Opens what writeTokens wrote; throws ERR_AO_FORMAT for other files. */
export async function openTokens(source: ByteSource): Promise<Tokens> {
  const file = await openSafetensors(source);
  if (file.metadata['format'] !== FORMAT)
    throw new AoError('ERR_AO_FORMAT', `${source.name} is no file of token ids`, { fix: 'write one with writeTokens' });
  const { dtype, shape } = file.entry('ids');
  const size = dtype === 'U32' ? 4 : 2;
  return {
    length: shape[0]!,
    vocabSize: Number(file.metadata['vocab_size']),
    eosTokenId: Number(file.metadata['eos_token_id']),
    read: async (begin, end) => {
      const bytes = await file.readRange('ids', begin * size, end * size);
      const { buffer } = bytes.slice();
      return Int32Array.from(size === 4 ? new Uint32Array(buffer) : new Uint16Array(buffer));
    },
  };
}
