// Every sample of every op against the reference backend: eager, from strided views, replayed.
import { opSamples } from '@ao/core/samples';
import { runOpConformance } from '@ao/testing/ops';
import type { Part } from '../part.ts';

export const conformance: Part = {
  name: 'conformance',
  async run(rt, say) {
    const { passed, skipped, failed } = await runOpConformance(rt, 'cuda', opSamples());
    say({ name: 'conformance of ops', unit: 'passed', value: passed.length });
    say({ name: 'conformance of ops', unit: 'skipped', value: skipped.length });
    const note = failed.map(({ test, message }) => `${test}: ${message}`).join('\n');
    say({ name: 'conformance of ops', unit: 'failed', value: failed.length, ...(note === '' ? {} : { note }) });
  },
};
