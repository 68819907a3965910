// Runs suites one after the other and gathers their rows; a suite that fails is told in the rows it still owed.

import { foreignCpus, loadAverage, readLoad } from './load.ts';
import { type Commit, commit, type Machine, machine, versions } from './machine.ts';
import { DISTURBED, finish, type Row } from './row.ts';
import type { Suite, SuiteOptions } from './suite.ts';

export interface Results {
  readonly date: string;
  readonly commit: Commit;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly threads: number;
  readonly repeats: number;
  /** The one-minute load average before the first suite. */
  readonly loadBefore: number;
  readonly rows: readonly Row[];
}

export async function run(
  suites: readonly Suite[],
  options: SuiteOptions,
  onRow: (row: Row) => void = () => {},
): Promise<Results> {
  const loadBefore = loadAverage();
  if (loadBefore > DISTURBED)
    options.log(`load ${loadBefore.toFixed(2)} before the start: rows tell who else was busy`);
  const head = { date: new Date().toISOString(), commit: commit(), machine: machine(), versions: versions() };
  const rows: Row[] = [];
  for (const suite of suites) {
    const owed = new Set(suite.rows.filter((id) => options.wants(id)));
    if (owed.size === 0) continue;
    options.log(`${suite.name} ...`);
    let before = readLoad();
    let foreign: number | undefined;
    const add = (...args: Parameters<typeof finish>): void => {
      const row = finish(...args);
      owed.delete(row.id);
      rows.push(row);
      onRow(row);
    };
    try {
      for await (const measurement of suite.run(options)) {
        if (!owed.has(measurement.id)) throw new Error(`suite ${suite.name} does not announce ${measurement.id} once`);
        const now = readLoad();
        // rows of one measurement come at once, and share what was seen while it ran
        const seen = before && now ? foreignCpus(before, now) : undefined;
        if (seen !== undefined) [foreign, before] = [seen, now];
        add(suite.name, measurement, foreign);
      }
      if (owed.size > 0) throw new Error('the suite gave no such row');
    } catch (error) {
      const skipped = error instanceof Error ? error.message : String(error);
      for (const id of owed) add(suite.name, { id, what: `${suite.name} failed`, unit: '', skipped });
    }
  }
  return { ...head, threads: options.threads, repeats: options.repeats, loadBefore, rows };
}
