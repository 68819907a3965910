// duel(rows, sides, options): ours and a peer do one job in turns, and rows tell their medians. Without the peer, ours runs alone
// and the rows say why.
import { interleave } from './interleave.ts';
import { median } from './statistics.ts';
import type { Measurement, PeerName, SuiteOptions } from './suite.ts';
import type { TextEngine, TextJob, TextResult } from './text-engine.ts';

export interface DuelRow extends Pick<Measurement, 'id' | 'what' | 'form' | 'target' | 'crossEntropy'> {
  /** Which of the results it tells. */
  readonly kind: 'decode' | 'prefill';
}

export interface Sides {
  readonly ours: () => Promise<TextEngine>;
  readonly peer: PeerName;
  readonly theirs: () => Promise<TextEngine>;
  /** Once before the rounds. */
  readonly before?: TextJob;
  readonly job: TextJob;
}

export async function* duel(
  rows: readonly DuelRow[],
  { ours, peer, theirs, before, job }: Sides,
  options: SuiteOptions,
): AsyncIterable<Measurement> {
  const wanted = rows.filter((row) => options.wants(row.id)).map((row) => ({ unit: 'tok/s', ...row }));
  if (wanted.length === 0) return;
  const models = options.absent('models');
  if (models !== undefined) {
    yield* wanted.map(({ kind: _, ...row }) => ({ ...row, skipped: models }));
    return;
  }
  const skipped = options.absent(peer);
  const engines: TextEngine[] = [];
  try {
    engines.push(await ours());
    if (skipped === undefined) engines.push(await theirs());
    if (before !== undefined) for (const engine of engines) await engine.run(before);
    const results = await interleave(engines, job, options.repeats);
    for (const { kind, ...row } of wanted)
      yield { ...row, ...compare(results, kind), ...(skipped === undefined ? {} : { skipped }) };
  } finally {
    for (const engine of engines) engine.stop();
  }
}

/** Medians and runs of two engines, the first of them ours. */
function compare(
  results: Readonly<Record<string, readonly TextResult[]>>,
  kind: DuelRow['kind'],
): Pick<Measurement, 'ours' | 'peer' | 'runs'> {
  const runs = Object.fromEntries(Object.entries(results).map(([name, list]) => [name, list.map((r) => r[kind]!)]));
  const [ours, peer] = Object.entries(runs);
  return {
    ours: median(ours![1]),
    ...(peer === undefined ? {} : { peer: { name: peer[0], value: median(peer[1]) } }),
    runs,
  };
}
