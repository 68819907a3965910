// interleave(contenders, job, repeats): one round runs every contender once, in alternating order; medians over the rounds.
// The first round warms up and does not count. What slows the machine for a while slows all of them.
import type { Contender, Job } from './contender.ts';
import { load, median, spread } from './statistics.ts';

export interface Measured {
  readonly prefillTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
  readonly prefillSpread: number;
  readonly decodeSpread: number;
  readonly runs: readonly (readonly [prefill: number, decode: number])[];
}

export interface Interleaved {
  readonly results: Readonly<Record<string, Measured>>;
  /** One-minute load average before and after; the contenders themselves are in the second. */
  readonly load: readonly [number, number];
}

export async function interleave(contenders: readonly Contender[], job: Job, repeats: number): Promise<Interleaved> {
  const runs = new Map<string, [number, number][]>(contenders.map((c) => [c.name, []]));
  const before = load();
  for (let round = 0; round <= repeats; round++) {
    const order = round % 2 ? [...contenders].reverse() : contenders;
    for (const contender of order) {
      const speed = await contender.run(job);
      if (round > 0) runs.get(contender.name)!.push([speed.prefillTokensPerSecond, speed.decodeTokensPerSecond]);
    }
  }
  const results: Record<string, Measured> = {};
  for (const [name, list] of runs) {
    const prefill = list.map((run) => run[0]);
    const decode = list.map((run) => run[1]);
    results[name] = {
      prefillTokensPerSecond: median(prefill),
      decodeTokensPerSecond: median(decode),
      prefillSpread: spread(prefill),
      decodeSpread: spread(decode),
      runs: list,
    };
  }
  return { results, load: [before, load()] };
}
