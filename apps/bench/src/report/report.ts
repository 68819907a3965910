// What readers see of the published results: the table in README.md, between its markers, the plot beside the results, and the
// page of schemes.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Results } from '../run.ts';
import { merge } from './merge.ts';
import { plot } from './plot.ts';
import { schemePage } from './scheme-tables.ts';
import { replaceTable, table } from './table.ts';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
export const PLOT = at('../../published/cpu.svg');
export const README = at('../../../../README.md');
export const SCHEMES = at('../../../../packages/quantization/MEASURED.md');

/** Which results: of `pnpm bench cpu`, or of `pnpm bench schemes`. */
export type Kind = 'cpu' | 'schemes';

const publishedFile = (kind: Kind): string => at(`../../published/${kind}.json`);

export async function readPublished(kind: Kind = 'cpu'): Promise<Results> {
  return JSON.parse(await readFile(publishedFile(kind), 'utf8')) as Results;
}

/** Makes table, plot and page from the published results. */
export async function report(): Promise<void> {
  const results = await readPublished();
  await writeFile(README, replaceTable(await readFile(README, 'utf8'), table(results)));
  await writeFile(PLOT, await plot(results));
  await writeFile(SCHEMES, schemePage(await readPublished('schemes')));
}

/** Publishes results; rows that they lack stay from an earlier run of the same commit, machine and versions. */
export async function publish(results: Results, kind: Kind = 'cpu'): Promise<void> {
  const before = await readPublished(kind).catch(() => undefined);
  const all = before === undefined ? results : merge(before, results);
  await writeFile(publishedFile(kind), `${JSON.stringify(all, null, 2)}\n`);
  await report();
}
