// The AVX2 paths of both sides, on machines that may have more: ours by AO_ISA, llama.cpp held to its haswell build.
import { duel } from '../duel.ts';
import { llamaBuild } from '../peers/llama-build.ts';
import { quality } from '../quality.ts';
import { INT4, nameOf } from '../schemes.ts';
import type { Suite } from '../suite.ts';
import { promptOf, startLlama, startOurs, type TextEngine } from '../text-engine.ts';

const READ = 512;
const WRITE = 64;
const ISA = 'avx2';
const ROWS = [
  { kind: 'decode', id: 'decode-avx2-int4', what: `decode ${nameOf(INT4)}, AVX2`, least: 1.2 },
  { kind: 'prefill', id: 'prefill-avx2-int4', what: `prefill ${READ} ${nameOf(INT4)}, AVX2`, least: 1.1 },
] as const;

/** The engine, once what it says about itself shows that nothing beyond AVX2 is on. */
function held(engine: TextEngine, holds: boolean): TextEngine {
  if (holds) return engine;
  engine.stop();
  throw new Error(`${engine.name} is not held to AVX2: ${JSON.stringify(engine.info)}`);
}

export const suite: Suite = {
  name: 'isa',
  rows: ROWS.map(({ id }) => id),
  async *run(options) {
    const room = { threads: options.threads, contextSize: READ + WRITE + 8 };
    const nats = await quality(options, room, INT4.ours, { isa: ISA });
    yield* duel(
      ROWS.map(({ least, ...row }) => ({
        ...row,
        ...nats,
        form: INT4.form,
        target: { kind: 'ratio', value: least },
      })),
      {
        async ours() {
          const engine = await startOurs('ours', INT4.ours, room, ISA);
          return held(engine, engine.info['isa'] === ISA);
        },
        peer: 'llama',
        async theirs() {
          const engine = await startLlama(`${INT4.peer} haswell`, INT4.file, room, await llamaBuild('haswell'));
          const system = String(engine.info['system']);
          return held(engine, /\bAVX2 = 1/.test(system) && !/AVX512|AVX_VNNI|AMX/.test(system));
        },
        job: { read: promptOf(READ), write: WRITE },
      },
      options,
    );
  },
};
