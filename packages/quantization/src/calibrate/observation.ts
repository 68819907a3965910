// Which weights read one input, in the order in which a model uses them, and what those inputs hold.
import { cast, float32, type Module, mul, type Tensor } from '@ao/core';
import { type ObservedTensor, observedKind, type Seen } from '../observe/observed-tensor.ts';
import { swapTensors } from '../observe/swap-tensors.ts';
import { ENOUGH, type Passage } from './passage.ts';
import { type Rotation, rotated } from './rotation.ts';
import { Statistics } from './statistics.ts';

/** A weight as calibration finds it in the model. */
export interface Observable {
  readonly fqn: string;
  weight: Tensor;
  /** What the weight meets is (x rotation) preScale, each where it is there. */
  preScale?: Tensor;
  rotation?: Rotation;
}

/** Weights that meet the same rows of the same input. */
export type Sharers<W> = readonly W[];

/** Weights that read one tensor: one list, or a list for each expert. `calls` of them in a run. */
export interface Stage<W> {
  readonly sharers: readonly Sharers<W>[];
  readonly calls: number;
}

/** Runs `work` with each weight of the model replaced by one that tells what it meets. */
async function watching<W extends Observable>(
  model: Module,
  weights: readonly W[],
  observe: (weight: W, seen: Seen) => void,
  work: () => Promise<void>,
): Promise<void> {
  const pairs = weights.map((w) => [w.weight, wrapped(w, (seen) => observe(w, seen))] as const);
  swapTensors(model, new Map(pairs));
  try {
    await work();
  } finally {
    swapTensors(model, new Map(pairs.map(([weight, watched]) => [watched, weight])));
  }
}

/** `values` as they stand in the place of a weight: behind what happens to its input, where something does. */
export const standIn = (w: Observable, values: Tensor): Tensor =>
  w.preScale === undefined && w.rotation === undefined ? values : wrapped({ ...w, weight: values }, () => {});

function wrapped({ weight, preScale, rotation }: Observable, observe: (seen: Seen) => void): ObservedTensor {
  const transform = (x: Tensor): Tensor => {
    const turned = rotation === undefined ? x : cast(rotated(cast(x, float32), rotation), x.dtype);
    return preScale === undefined ? turned : cast(mul(turned, preScale), x.dtype);
  };
  return observedKind.make({ weight }, { transform, observe }, weight.shape, weight.dtype);
}

/** The stages of these weights in the order of a run; weights that the first batch does not reach are in none. */
export async function stagesOf<T, W extends Observable>(
  model: Module,
  weights: readonly W[],
  passage: Passage<T>,
): Promise<Stage<W>[]> {
  const found = new Map<Tensor, { sharers: Map<number, Set<W>>; calls: number }>();
  const homes = new Map<W, Tensor>();
  const observe = (weight: W, { source, expert }: Seen): void => {
    // a weight that is used twice stays where it was met first
    const home = homes.get(weight) ?? source;
    homes.set(weight, home);
    const stage = found.get(home) ?? { sharers: new Map<number, Set<W>>(), calls: 0 };
    found.set(home, stage);
    stage.calls += 1;
    const sharers = stage.sharers.get(expert) ?? new Set<W>();
    stage.sharers.set(expert, sharers.add(weight));
  };
  await watching(model, weights, observe, () => passage.pass(() => {}, 1));
  return [...found.values()].map(({ sharers, calls }) => ({
    sharers: [...sharers.values()].map((s) => [...s]),
    calls,
  }));
}

/** The inputs of some stages over all batches, one for each list of sharers; a run ends when it has met them all. */
export async function observeStages<T, W extends Observable>(
  model: Module,
  stages: readonly Stage<W>[],
  passage: Passage<T>,
  gram: boolean,
): Promise<Map<Sharers<W>, Statistics>> {
  const inputs = new Map<Sharers<W>, Statistics>();
  const leaders = new Map<W, Statistics>();
  for (const { sharers } of stages) {
    for (const list of sharers) {
      const statistics = new Statistics(gram);
      inputs.set(list, statistics);
      leaders.set(list[0] as W, statistics);
    }
  }
  const all = stages.reduce((n, s) => n + s.calls, 0);
  let left = 0;
  const observe = (weight: W, seen: Seen): void => {
    leaders.get(weight)?.update(seen);
    left -= 1;
    if (left === 0) throw ENOUGH;
  };
  const weights = stages.flatMap((s) => s.sharers.flat());
  try {
    await watching(model, weights, observe, () =>
      passage.pass(() => {
        left = all;
      }),
    );
  } catch (error) {
    for (const statistics of inputs.values()) statistics.dispose();
    throw error;
  }
  return inputs;
}
