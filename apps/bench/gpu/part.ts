// What a part of `pnpm gpu` is: it measures on a runtime whose device is the GPU and says rows; and how a plan is timed there.
import type { Extension, Runtime, Tensor } from '@ao/core';

/** A figure. Rows of ours and of peers (peers/*.py) that measure one thing have one name and unit. */
export interface Row {
  readonly name: string;
  readonly unit: 'us' | 'ms' | 'tok/s' | 'GB' | 'GB/s' | 'TFLOP/s' | 'passed' | 'failed' | 'skipped' | 'x';
  readonly value: number;
  /** Bytes that have to move once, for a share of the memory's rate. */
  readonly bytes?: number;
  readonly note?: string;
}

export type Say = (row: Row) => void;

export interface Part {
  readonly name: string;
  /** Extensions beside the device's. */
  readonly use?: readonly Extension[];
  run(rt: Runtime, say: Say): Promise<void>;
}

/** AO_GPU_TURNS: fewer, to look at something slow. */
const TURNS = Number(process.env['AO_GPU_TURNS'] ?? 15);

/** Microseconds of a call, the median over replays of one plan of `calls`, which use weights of their own, so that no cache holds them. */
export async function timePlan(rt: Runtime, calls: readonly (() => Tensor)[]): Promise<number> {
  const plan = rt.capture(() => calls.map((call) => call()));
  const times: number[] = [];
  for (let i = 0; i < TURNS + 3; i++) {
    await rt.backend('cuda').sync();
    const start = performance.now();
    plan.replay();
    await rt.backend('cuda').sync();
    if (i >= 3) times.push(((performance.now() - start) * 1000) / calls.length);
  }
  plan.dispose();
  return times.sort((a, b) => a - b)[TURNS >> 1]!;
}
