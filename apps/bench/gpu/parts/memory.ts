// The most bytes that were in use at once to decode an int4 model at 131,072 tokens with its cache in int8: made, quantized, its last tokens
// read and two chosen. What lies in the cache before them does not matter to the memory and is not computed.
import * as ao from '@ao/core';
import { modelName, someIds, withLlama } from '../llama.ts';
import type { Part } from '../part.ts';

const LENGTH = 131072;
const READ = 512;

export const memory: Part = {
  name: 'memory',
  async run(_, say) {
    await withLlama('int4wo-128', async (model, rt) => {
      const cache = model.createCache(LENGTH, 1, 'int8');
      for (const t of [...cache.keys, ...cache.values]) ao.fill_(t, 0);
      cache.truncate(LENGTH - READ - 2);
      let at = LENGTH - READ - 2;
      for (const count of [READ, 1, 1])
        ao.noGrad(() =>
          ao.scope(() => {
            const ids = ao.tensor(rt, Int32Array.from(someIds(count)), { shape: [1, count], dtype: ao.int32 });
            const h = model.hidden(ids, { cache, positions: ao.arange(rt, at, at + count, 1) });
            ao.addScalar_(cache.pos, count);
            ao.argmax(model.head(ao.slice(h, 1, count - 1, count)), 2);
            at += count;
          }),
        );
      await rt.backend('cuda').sync();
      const { peak, reserved } = rt.backend('cuda').memory();
      say({
        name: `${modelName} int4, int8 cache of ${LENGTH} tokens: peak`,
        unit: 'GB',
        value: peak / 1e9,
        note: `${(reserved / 1e9).toFixed(2)} GB reserved at the end`,
      });
      cache.dispose();
    });
  },
};
