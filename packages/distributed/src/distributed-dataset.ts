// Each rank's rows of a dataset: row i of a rank is row i size + rank of the whole, so that equal draws are different rows.
import { AoError } from '@ao/core';
import type { ProcessGroup } from './process-group.ts';

/** A Dataset of @ao/train. */
export interface Rows<B> {
  readonly length: number;
  readonly blockSize: number;
  rows(indices: readonly number[]): Promise<B>;
}

/** torch's DistributedSampler for `train`: give it this rank's rows of `data`; a last part that is not for all ranks is left out. */
export function distributedDataset<B>(data: Rows<B>, { rank, size }: Pick<ProcessGroup, 'rank' | 'size'>): Rows<B> {
  const length = Math.floor(data.length / size);
  if (length < 1)
    throw new AoError('ERR_AO_CONFIG', `${data.length} rows for ${size} ranks`, {
      op: 'distributedDataset',
      fix: 'give more rows',
    });
  return { length, blockSize: data.blockSize, rows: (indices) => data.rows(indices.map((i) => i * size + rank)) };
}
