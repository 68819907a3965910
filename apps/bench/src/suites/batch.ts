// Decoding several texts at once: tokens per second of all together, int4, beside llama.cpp with as many sequences.
import { duel } from '../duel.ts';
import { quality } from '../quality.ts';
import { INT4, nameOf } from '../schemes.ts';
import type { Suite } from '../suite.ts';
import { promptOf, startLlama, startOurs } from '../text-engine.ts';

const COUNTS = [1, 4, 16];
const READ = 32;
const WRITE = 32;
const idOf = (count: number): string => `batch-${count}`;

export const suite: Suite = {
  name: 'batch',
  rows: COUNTS.map(idOf),
  async *run(options) {
    for (const count of COUNTS) {
      if (!options.wants(idOf(count))) continue;
      const room = { threads: options.threads, contextSize: READ + WRITE + 8, sequences: count };
      const what = `decode of ${count} ${count === 1 ? 'sequence' : 'sequences'} together ${nameOf(INT4)}`;
      const nats = await quality(options, room, INT4.ours);
      yield* duel(
        [{ kind: 'decode', id: idOf(count), what, form: INT4.form, ...nats }],
        {
          ours: () => startOurs('ours', INT4.ours, room),
          peer: 'llama',
          theirs: () => startLlama(INT4.peer, INT4.file, room),
          job: { batch: Array.from({ length: count }, (_, i) => promptOf(READ, i * READ)), write: WRITE },
        },
        options,
      );
    }
  },
};
