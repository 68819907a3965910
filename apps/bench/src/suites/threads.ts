// How decoding and prefill of int4 scale with threads: 1, 2, 4, ... up to the machine's, each beside llama.cpp with as many.
import { availableParallelism } from 'node:os';
import { duel } from '../duel.ts';
import { quality } from '../quality.ts';
import { INT4, nameOf } from '../schemes.ts';
import type { Suite } from '../suite.ts';
import { promptOf, startLlama, startOurs } from '../text-engine.ts';

const READ = 512;
const WRITE = 64;
const KINDS = ['decode', 'prefill'] as const;

const all = availableParallelism();
const counts = [...Array.from({ length: Math.ceil(Math.log2(all)) }, (_, i) => 2 ** i), all];
const idOf = (kind: string, threads: number): string => `threads-${threads}-${kind}`;

export const suite: Suite = {
  name: 'threads',
  rows: counts.flatMap((threads) => KINDS.map((kind) => idOf(kind, threads))),
  async *run(options) {
    for (const threads of counts) {
      if (!KINDS.some((kind) => options.wants(idOf(kind, threads)))) continue;
      const room = { threads, contextSize: READ + WRITE + 8 };
      const nats = await quality(options, room, INT4.ours);
      yield* duel(
        KINDS.map((kind) => ({
          kind,
          id: idOf(kind, threads),
          what: `${kind === 'prefill' ? `prefill ${READ}` : kind} ${nameOf(INT4)}, ${threads} of ${all} threads`,
          form: INT4.form,
          ...nats,
        })),
        {
          ours: () => startOurs('ours', INT4.ours, room),
          peer: 'llama',
          theirs: () => startLlama(INT4.peer, INT4.file, room),
          job: { read: promptOf(READ), write: WRITE },
        },
        options,
      );
    }
  },
};
