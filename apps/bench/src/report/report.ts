// What readers see of the published results: the table in README.md, between its markers, and the plot beside the results.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Results } from '../run.ts';
import { merge } from './merge.ts';
import { plot } from './plot.ts';
import { replaceTable, table } from './table.ts';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
export const PUBLISHED = at('../../published/cpu.json');
export const PLOT = at('../../published/cpu.svg');
export const README = at('../../../../README.md');

export async function readPublished(): Promise<Results> {
  return JSON.parse(await readFile(PUBLISHED, 'utf8')) as Results;
}

/** Makes table and plot from the published results. */
export async function report(): Promise<void> {
  const results = await readPublished();
  await writeFile(README, replaceTable(await readFile(README, 'utf8'), table(results)));
  await writeFile(PLOT, await plot(results));
}

/** Publishes results; rows that they lack stay from an earlier run of the same commit, machine and versions. */
export async function publish(results: Results): Promise<void> {
  const before = await readPublished().catch(() => undefined);
  await writeFile(PUBLISHED, `${JSON.stringify(before === undefined ? results : merge(before, results), null, 2)}\n`);
  await report();
}
