// interleave(contenders, job, repeats): one round runs every contender once, in alternating order. The first round warms up
// and does not count. What slows the machine for a while slows all of them.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Contender } from './contender.ts';

/** Between two contenders: threads of the one before have stopped spinning. */
const PAUSE_MS = 100;

/** The counted results of each contender, by its name. */
export async function interleave<Job, Result>(
  contenders: readonly Contender<Job, Result>[],
  job: Job,
  repeats: number,
): Promise<Readonly<Record<string, readonly Result[]>>> {
  const results: Record<string, Result[]> = Object.fromEntries(contenders.map((c) => [c.name, []]));
  for (let round = 0; round <= repeats; round++) {
    for (const contender of round % 2 ? [...contenders].reverse() : contenders) {
      await sleep(PAUSE_MS);
      const result = await contender.run(job);
      if (round > 0) results[contender.name]!.push(result);
    }
  }
  return results;
}
