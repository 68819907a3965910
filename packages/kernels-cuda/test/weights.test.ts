// Weights in every format on cuda, packed and plain.
import { createRuntime } from '@ao/core';
import { weightConformance } from '@ao/testing/weights';
import { describe, it } from 'vitest';
import { cuda } from '../src/index.ts';
import { places } from './places.ts';

for (const place of places()) {
  describe(`weights on cuda, ${place.name}`, async () => {
    if (place.skip !== '') {
      it.skip(place.skip);
      return;
    }
    await weightConformance(await place.open(() => createRuntime({ use: [cuda()] })), 'cuda');
  });
}
