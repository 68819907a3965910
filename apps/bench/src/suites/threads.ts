// How decoding and prefill of int4 scale with threads: 1, 2, 4, ... up to the machine's, each beside llama.cpp with as many; then
// both sides at the thread count that is best for each, which need not be the same.
import { availableParallelism } from 'node:os';
import { duel } from '../duel.ts';
import { quality } from '../quality.ts';
import { INT4, nameOf } from '../schemes.ts';
import type { Measurement, Suite, SuiteOptions } from '../suite.ts';
import { promptOf, startLlama, startOurs } from '../text-engine.ts';

const READ = 512;
const WRITE = 64;
const KINDS = ['decode', 'prefill'] as const;
type Kind = (typeof KINDS)[number];

const all = availableParallelism();
const counts = [...Array.from({ length: Math.ceil(Math.log2(all)) }, (_, i) => 2 ** i), all];
const idOf = (kind: Kind, threads: number | 'best'): string => `threads-${threads}-${kind}`;
const whatOf = (kind: Kind): string => `${kind === 'prefill' ? `prefill ${READ}` : kind} ${nameOf(INT4)}`;

async function* run(options: SuiteOptions): AsyncIterable<Measurement> {
  const best = KINDS.filter((kind) => options.wants(idOf(kind, 'best')));
  const measured: Record<Kind, Measurement[]> = { decode: [], prefill: [] };
  for (const threads of counts) {
    const wants = (id: string): boolean => options.wants(id) || best.some((kind) => id === idOf(kind, threads));
    if (!KINDS.some((kind) => wants(idOf(kind, threads)))) continue;
    const room = { threads, contextSize: READ + WRITE + 8 };
    const nats = await quality(options, room, INT4.ours);
    const rows = KINDS.map((kind) => {
      const what = `${whatOf(kind)}, ${threads} of ${all} threads`;
      return { kind, id: idOf(kind, threads), what, form: INT4.form, ...nats };
    });
    const sides = {
      ours: () => startOurs('ours', INT4.ours, room),
      peer: 'llama',
      theirs: () => startLlama(INT4.peer, INT4.file, room),
      job: { read: promptOf(READ), write: WRITE },
    } as const;
    for await (const row of duel(rows, sides, { ...options, wants })) {
      measured[rows.find(({ id }) => id === row.id)!.kind].push(row);
      if (options.wants(row.id)) yield row;
    }
  }
  for (const kind of best) yield bestOf(kind, measured[kind]);
}

function bestOf(kind: Kind, rows: readonly Measurement[]): Measurement {
  const ours = rows.flatMap((row) => row.ours ?? []);
  const theirs = rows.flatMap((row) => row.peer?.value ?? []);
  const { unit, form, crossEntropy, skipped } = rows[0]!;
  return {
    id: idOf(kind, 'best'),
    what: `${whatOf(kind)}, each side at its best thread count`,
    unit,
    ...(form && { form }),
    ...(crossEntropy && { crossEntropy }),
    ...(skipped !== undefined && { skipped }),
    ...(ours.length > 0 && { ours: Math.max(...ours) }),
    ...(theirs.length > 0 && { peer: { name: INT4.peer, value: Math.max(...theirs) } }),
  };
}

export const suite: Suite = {
  name: 'threads',
  rows: [...counts, 'best' as const].flatMap((threads) => KINDS.map((kind) => idOf(kind, threads))),
  run,
};
