// Training steps of stories-7m, a Llama of 7.3 M parameters, in float32 and bfloat16, beside eager torch. Both sides take the same steps on the same batch: losses
// that differ by more than 2% are an error.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AutoTokenizer } from '@ao/hf-integration';
import { interleave } from '../interleave.ts';
import { median } from '../statistics.ts';
import type { Suite } from '../suite.ts';
import {
  STORIES,
  startTorchTraining,
  startTraining,
  type TrainingEngine,
  type TrainingSetup,
} from '../training-engine.ts';

const [ROWS, TOKENS, STEPS] = [4, 256, 2];
const DTYPES = [
  { dtype: 'float32', id: 'training-f32', target: 1.05 },
  { dtype: 'bfloat16', id: 'training-bf16', target: 1.15 },
] as const;
const OURS = 'ours';
const PEER = 'torch eager, transformers';

export const suite: Suite = {
  name: 'training',
  rows: DTYPES.map(({ id }) => id),
  async *run(options) {
    const tokenizer = await AutoTokenizer.fromPretrained(STORIES);
    const text = await readFile(join(STORIES, 'validation.txt'), 'utf8');
    const ids = tokenizer.encode(text.slice(0, 20_000)).slice(0, ROWS * (TOKENS + 1));
    for (const { dtype, id, target } of DTYPES) {
      if (!options.wants(id)) continue;
      const setup: TrainingSetup = { model: STORIES, threads: options.threads, dtype, rows: ROWS, tokens: TOKENS, ids };
      const skipped = options.absent('torchao');
      const engines: TrainingEngine[] = [];
      try {
        engines.push(await startTraining(OURS, setup));
        if (skipped === undefined) engines.push(await startTorchTraining(PEER, setup));
        const results = await interleave(engines, { steps: STEPS }, options.repeats);
        const runs = Object.fromEntries(
          Object.entries(results).map(([name, list]) => [name, list.map((r) => r.tokensPerSecond)]),
        );
        const [ours = [], peer] = [OURS, PEER].map((name) => results[name]?.flatMap((r) => r.losses));
        for (const [i, loss] of (peer ?? []).entries())
          if (Math.abs(loss / ours[i]! - 1) > 0.02) throw new Error(`loss ${i} is ${ours[i]}, torch's ${loss}`);
        yield {
          ...{ id, what: `training step of stories-7m, ${ROWS} x ${TOKENS} tokens, ${dtype}`, unit: 'tok/s' },
          ours: median(runs[OURS]!),
          ...(runs[PEER] === undefined ? {} : { peer: { name: PEER, value: median(runs[PEER]) } }),
          ...{ runs, target: { kind: 'ratio', value: target } as const },
          ...(skipped === undefined ? {} : { skipped }),
        };
      } finally {
        for (const engine of engines) engine.stop();
      }
    }
  },
};
