// Decoding behind 4,096 tokens of context: both sides read them once, then write 32 tokens in turns, each going on in its text.
import { duel } from '../duel.ts';
import { quality } from '../quality.ts';
import { INT4, INT8, type Measured, nameOf } from '../schemes.ts';
import type { Suite } from '../suite.ts';
import { promptOf, startLlama, startOurs } from '../text-engine.ts';

const CONTEXT = 4096;
const WRITE = 32;
const SCHEMES: readonly Measured[] = [INT4, INT8];
const idOf = ({ id }: Measured): string => `decode-${CONTEXT}-${id}`;

export const suite: Suite = {
  name: 'long-context',
  rows: SCHEMES.map(idOf),
  async *run(options) {
    for (const scheme of SCHEMES) {
      if (!options.wants(idOf(scheme))) continue;
      // each round writes a few more than are timed
      const room = { threads: options.threads, contextSize: CONTEXT + (options.repeats + 1) * (WRITE + 8) + 64 };
      const nats = await quality(options, room, scheme.ours);
      yield* duel(
        [
          {
            kind: 'decode',
            id: idOf(scheme),
            what: `decode at ${CONTEXT} tokens of context ${nameOf(scheme)}`,
            form: scheme.form,
            target: { kind: 'ratio', value: 1.5 },
            ...nats,
          },
        ],
        {
          ours: () => startOurs('ours', scheme.ours, room),
          peer: 'llama',
          theirs: () => startLlama(scheme.peer, scheme.file, room),
          before: { open: promptOf(CONTEXT) },
          job: { more: WRITE },
        },
        options,
      );
    }
  },
};
