// How long the event loop waits while SmolLM2 reads and writes: the 99th percentile, which generate promises to keep under 10 ms.
import { median } from '../statistics.ts';
import type { Suite } from '../suite.ts';
import { promptOf, startOurs } from '../text-engine.ts';

const row = { id: 'event-loop', what: 'event loop delay while generating, p99', unit: 'ms', lowerIsBetter: true };

export const suite: Suite = {
  name: 'event-loop',
  rows: [row.id],
  async *run({ threads, repeats, absent }) {
    const skipped = absent('models');
    if (skipped !== undefined) {
      yield { ...row, skipped };
      return;
    }
    const engine = await startOurs('ours', { scheme: 'int4wo-32' }, { threads, contextSize: 640 });
    try {
      const runs: Record<'ours' | 'idle', number[]> = { ours: [], idle: [] };
      for (let round = 0; round <= repeats; round++) {
        const { lag } = await engine.run({ lag: promptOf(512), write: 64 });
        if (round === 0) continue;
        runs.ours.push(lag!.working);
        runs.idle.push(lag!.idle);
      }
      yield {
        ...row,
        form: 'exact',
        ours: median(runs.ours),

        runs,
        target: { kind: 'at most', value: 10 },
      };
    } finally {
      engine.stop();
    }
  },
};
