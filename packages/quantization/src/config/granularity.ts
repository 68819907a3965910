// Which elements of a tensor share one scale: torchao's granularities as plain data, and their block size.
import { AoError } from '@ao/core';

export interface PerTensor {
  readonly type: 'PerTensor';
}
export interface PerAxis {
  readonly type: 'PerAxis';
  readonly axis: number;
}
export interface PerRow {
  readonly type: 'PerRow';
  readonly dim: number;
}
export interface PerGroup {
  readonly type: 'PerGroup';
  readonly groupSize: number;
}
export interface PerToken {
  readonly type: 'PerToken';
}
export interface PerBlock {
  readonly type: 'PerBlock';
  readonly blockSize: readonly number[];
}
export type Granularity = PerTensor | PerAxis | PerRow | PerGroup | PerToken | PerBlock;

export const perTensor = (): PerTensor => Object.freeze({ type: 'PerTensor' });
export const perToken = (): PerToken => Object.freeze({ type: 'PerToken' });
/** One scale for each index of `axis`; everything else is reduced. */
export const perAxis = (axis: number): PerAxis => Object.freeze({ type: 'PerAxis', axis });
/** One scale for each row along `dim` (-1: the last dimension is reduced). */
export const perRow = (dim = -1): PerRow => Object.freeze({ type: 'PerRow', dim });
/** One scale for each `groupSize` values of the last dimension. */
export function perGroup(groupSize: number): PerGroup {
  if (!Number.isInteger(groupSize) || groupSize < 1) {
    throw new AoError('ERR_AO_CONFIG', `perGroup: group size ${groupSize} is not a positive integer`, {
      fix: 'use 32, 64, 128 or 256',
    });
  }
  return Object.freeze({ type: 'PerGroup', groupSize });
}
export const perBlock = (blockSize: readonly number[]): PerBlock =>
  Object.freeze({ type: 'PerBlock', blockSize: Object.freeze([...blockSize]) });

/** The block (same rank as `shape`) whose elements share a scale. Divisibility is checked by whoever uses it. */
export function blockSizeOf(shape: readonly number[], granularity: Granularity): number[] {
  const rank = shape.length;
  switch (granularity.type) {
    case 'PerTensor':
      return [...shape];
    case 'PerAxis': {
      const axis = granularity.axis < 0 ? granularity.axis + rank : granularity.axis;
      return shape.map((size, i) => (i === axis ? 1 : size));
    }
    case 'PerRow': {
      const dim = granularity.dim < 0 ? granularity.dim + rank : granularity.dim;
      return shape.map((size, i) => (i === dim ? size : 1));
    }
    case 'PerToken':
      return shape.map((size, i) => (i === rank - 1 ? size : 1));
    case 'PerGroup':
      return shape.map((_, i) => (i === rank - 1 ? granularity.groupSize : 1));
    case 'PerBlock':
      return [...granularity.blockSize];
  }
}

/** How people write it: 'PerGroup(32)'. */
export function granularityName(g: Granularity): string {
  if (g.type === 'PerAxis') return `PerAxis(${g.axis})`;
  if (g.type === 'PerRow') return g.dim === -1 ? 'PerRow' : `PerRow(${g.dim})`;
  if (g.type === 'PerGroup') return `PerGroup(${g.groupSize})`;
  if (g.type === 'PerBlock') return `PerBlock([${g.blockSize.join(', ')}])`;
  return g.type;
}
