// Datasets: rows of T + 1 ids, read as T inputs and the T ids after them. Packed: consecutive blocks of a token file, so that every id but
// the first is predicted once. Examples: one to a row, filled up with ids that nobody predicts.
import { AoError } from '@ao/core';
import type { Example } from './example.ts';
import type { Tokens } from './tokens.ts';

/** Targets with this value have no loss, as in torch. */
export const IGNORE_INDEX = -100;

export interface Batch {
  /** int32 [rows * blockSize] each, row-major. */
  readonly ids: Int32Array;
  readonly targets: Int32Array;
}

export interface Dataset {
  /** Rows. */
  readonly length: number;
  /** T: tokens a row. */
  readonly blockSize: number;
  rows(indices: readonly number[]): Promise<Batch>;
}

const empty = (rows: number, blockSize: number): Batch => ({
  ids: new Int32Array(rows * blockSize),
  targets: new Int32Array(rows * blockSize),
});

function checkBlock(blockSize: number): void {
  if (Number.isInteger(blockSize) && blockSize > 0) return;
  throw new AoError('ERR_AO_CONFIG', `blocks of ${blockSize} tokens`, { fix: 'a whole number above 0' });
}

/** Row i is ids [i T, (i + 1) T] of the file: documents follow each other, joined by the id that ends them. */
export function packedDataset(tokens: Tokens, blockSize: number): Dataset {
  checkBlock(blockSize);
  const length = Math.floor((tokens.length - 1) / blockSize);
  if (length < 1)
    throw new AoError('ERR_AO_CONFIG', `${tokens.length} tokens do not fill a block of ${blockSize} + 1`, {
      op: 'packedDataset',
      fix: `give more text, or blocks of at most ${tokens.length - 1}`,
    });
  return {
    length,
    blockSize,
    async rows(indices) {
      const batch = empty(indices.length, blockSize);
      const read = indices.map((i) => tokens.read(i * blockSize, (i + 1) * blockSize + 1));
      for (const [r, ids] of (await Promise.all(read)).entries()) {
        batch.ids.set(ids.subarray(0, blockSize), r * blockSize);
        batch.targets.set(ids.subarray(1), r * blockSize);
      }
      return batch;
    },
  };
}

/** A row for each example; one that is longer than T + 1 is cut, shorter ones are followed by `padTokenId`, without loss. */
export function exampleDataset(examples: readonly Example[], blockSize: number, padTokenId: number): Dataset {
  checkBlock(blockSize);
  const answers = ({ loss }: Example): boolean => loss.slice(1, blockSize + 1).includes(true);
  const silent = examples.findIndex((e) => !answers(e));
  if (examples.length === 0 || silent >= 0)
    throw new AoError(
      'ERR_AO_CONFIG',
      silent < 0 ? 'there is no example' : `example ${silent} has no answer within ${blockSize + 1} tokens`,
      { op: 'exampleDataset', fix: silent < 0 ? 'give examples' : 'leave it out, or make blocks longer' },
    );
  return {
    length: examples.length,
    blockSize,
    async rows(indices) {
      const batch = empty(indices.length, blockSize);
      batch.ids.fill(padTokenId);
      batch.targets.fill(IGNORE_INDEX);
      for (const [r, i] of indices.entries()) {
        const { ids, loss } = examples[i]!;
        batch.ids.set(ids.slice(0, blockSize), r * blockSize);
        const targets = ids.slice(1, blockSize + 1).map((id, t) => (loss[t + 1] ? id : IGNORE_INDEX));
        batch.targets.set(targets, r * blockSize);
      }
      return batch;
    },
  };
}
