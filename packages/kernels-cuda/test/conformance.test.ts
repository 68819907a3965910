// Every sample of every op of core on the cuda device, eager, strided and replayed, against the reference backend: on the GPU where there
// is one, and on the emulator of its kernels where that was built (pnpm build:emulated).
import { createRuntime } from '@ao/core';
import { opSamples } from '@ao/core/samples';
import { opConformance } from '@ao/testing';
import { describe, it } from 'vitest';
import { cuda } from '../src/index.ts';
import { places } from './places.ts';

for (const place of places()) {
  describe(`ops on cuda, ${place.name}`, async () => {
    if (place.skip !== '') {
      it.skip(place.skip);
      return;
    }
    const rt = await place.open(() => createRuntime({ use: [cuda()] }));
    for (const test of opConformance(rt, 'cuda', opSamples())) it(test.name, test.run);
  });
}
