// merge(before, now): the rows of now, and those of before that now lacks, where both tell of the same code and machine.
import { isDeepStrictEqual } from 'node:util';
import type { Results } from '../run.ts';

export function merge(before: Results, now: Results): Results {
  const same = (['commit', 'machine', 'versions', 'threads', 'repeats'] as const).every((key) =>
    isDeepStrictEqual(before[key], now[key]),
  );
  if (!same) return now;
  const measured = new Map(now.rows.map((row) => [row.id, row]));
  const kept = before.rows.map((row) => measured.get(row.id) ?? row);
  const known = new Set(kept.map((row) => row.id));
  return { ...now, rows: [...kept, ...now.rows.filter((row) => !known.has(row.id))] };
}
