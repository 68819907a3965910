// A row: a measurement with what follows from it.
//   ratio = ours / peer (peer / ours where lower is better)   share = ours / limit   met = the target holds
import type { Measurement } from './suite.ts';

export interface Row extends Measurement {
  readonly suite: string;
  readonly ratio?: number;
  readonly share?: number;
  /** Absent where there is no target or nothing to hold against it. */
  readonly met?: boolean;
  /** CPUs that work other than the benchmark's kept busy meanwhile; absent where the system does not tell. */
  readonly foreign?: number;
  /** The machine was busy with something else: do not trust this row. */
  readonly disturbed?: boolean;
}

/** More than this many CPUs busy with other work disturb a row. */
export const DISTURBED = 0.5;

export function finish(suite: string, m: Measurement, foreign?: number): Row {
  const { ours, peer, limit } = m;
  const ratio =
    ours === undefined || peer === undefined ? undefined : m.lowerIsBetter ? peer.value / ours : ours / peer.value;
  const share = ours === undefined || limit === undefined ? undefined : ours / limit.value;
  const met = verdict(m, ratio, share);
  return {
    suite,
    ...m,
    ...(ratio === undefined ? {} : { ratio }),
    ...(share === undefined ? {} : { share }),
    ...(met === undefined ? {} : { met }),
    ...(foreign === undefined ? {} : { foreign, disturbed: foreign > DISTURBED }),
  };
}

function verdict({ ours, target }: Measurement, ratio?: number, share?: number): boolean | undefined {
  if (target === undefined) return undefined;
  const value = { ratio, share, 'at most': ours, 'at least': ours }[target.kind];
  if (value === undefined) return undefined;
  return target.kind === 'at most' ? value <= target.value : value >= target.value;
}
