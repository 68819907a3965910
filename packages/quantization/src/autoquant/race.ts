// race(entrants, ...): seconds a run of each, measured side by side. A round runs every entrant once, in alternating order, so
// that what slows the machine for a while slows all; the first round warms up; medians of the others count.
import { type Dense, linear, linears, type Plan, type Runtime, type Tensor, tensor } from '@ao/core';

/** The weights of one candidate: of each copy of a layer, those that one call reads. */
export type Entrant = readonly (readonly Tensor[])[];

export interface RaceOptions {
  readonly rounds: number;
  readonly signal?: AbortSignal | undefined;
}

/** A run lasts about this long, in ms, where there are enough copies; fewer are taken where it would last longer. */
const LONGEST = 20;
/** A run is repeated until it lasts this long, so that the clock and the start of a plan do not count. */
const SHORTEST = 1;

/**
 * Seconds per copy of a call on `rows` rows, for each entrant. Copies differ in their bytes, so where there are many of them
 * weights come from as far away as they do in the model.
 */
export async function race(
  rt: Runtime,
  entrants: readonly Entrant[],
  rows: number,
  { rounds, signal }: RaceOptions,
): Promise<number[]> {
  const [first] = entrants[0] ?? [];
  const weight = first?.[0] as Tensor;
  const k = weight.shape[1] as number;
  const values = Float32Array.from({ length: rows * k }, (_, i) => Math.sin(i * 1.7));
  const x = tensor(rt, values, { shape: [rows, k], dtype: weight.dtype, device: weight.device });
  const backend = rt.backend(weight.device);
  const run = async (plan: Plan): Promise<number> => {
    await backend.sync();
    const start = performance.now();
    plan.replay();
    await backend.sync();
    return performance.now() - start;
  };
  let plans: Plan[] = [];
  const enter = (copies: number, times: number): void => {
    for (const plan of plans) plan.dispose();
    plans = entrants.map((entrant) => planOf(rt, x, entrant.slice(0, copies), times));
  };
  try {
    let copies = (entrants[0] as Entrant).length;
    enter(copies, 1);
    await run(plans[0] as Plan);
    const once = await run(plans[0] as Plan);
    let times = 1;
    if (once > LONGEST) copies = Math.max(1, Math.floor((copies * LONGEST) / once));
    else times = Math.max(1, Math.ceil(SHORTEST / once));
    if (times > 1 || copies < (entrants[0] as Entrant).length) enter(copies, times);
    const measured: number[][] = plans.map(() => []);
    for (let round = 0; round <= rounds; round++) {
      signal?.throwIfAborted();
      const order = [...plans.keys()];
      for (const i of round % 2 === 0 ? order : order.reverse()) {
        const ms = await run(plans[i] as Plan);
        if (round > 0) (measured[i] as number[]).push(ms);
      }
    }
    return measured.map((all) => median(all) / 1000 / copies / times);
  } finally {
    for (const plan of plans) plan.dispose();
    x.dispose();
  }
}

/** Every copy `times` times over; results go at once. */
function planOf(rt: Runtime, x: Tensor, copies: Entrant, times: number): Plan {
  return rt.capture((input: Dense) => {
    let last: Tensor[] = [];
    for (let i = 0; i < times; i++) {
      for (const ws of copies) {
        for (const y of last) y.dispose();
        last = ws.length === 1 ? [linear(input, ws[0] as Tensor)] : linears(input, ws);
      }
    }
    return last;
  }, x);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
