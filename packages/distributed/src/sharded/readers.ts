// Ops that read a sharded weight: the whole is gathered for the call alone.
import {
  type AnyOp,
  type Entry,
  embedding,
  linear,
  linearAdd,
  linearExperts,
  linears,
  matmul,
  type OverrideEntry,
  override,
  scope,
  type Tensor,
} from '@ao/core';
import { linearCrossEntropyOp } from '@ao/core/autograd';
import { gathered, type ShardedTensor, shardedKind } from './sharded-tensor.ts';

const whole = (a: unknown): unknown =>
  Array.isArray(a) ? a.map(whole) : shardedKind.is(a) ? gathered(a as ShardedTensor) : a;

/** Runs an op on wholes in the place of shards, at the argument positions that may be sharded. */
const reads = (op: unknown, ...positions: readonly number[]): OverrideEntry[] =>
  positions.map((arg) =>
    override(op as AnyOp, arg, shardedKind, (...args: readonly unknown[]) =>
      scope(() => (op as (...a: unknown[]) => Tensor)(...args.map(whole))),
    ),
  );

export const readerEntries = (): readonly Entry[] => [
  ...reads(linear, 1),
  ...reads(linears, 1),
  ...reads(linearAdd, 1),
  ...reads(linearExperts, 1),
  ...reads(embedding, 0),
  ...reads(matmul, 0, 1),
  ...reads(linearCrossEntropyOp, 1),
];
