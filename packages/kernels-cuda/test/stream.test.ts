// The stream on a GPU or the emulator: order, plans as graphs, and what a kernel finds wrong in its data.
import * as ao from '@ao/core';
import { describe, expect, it } from 'vitest';
import { cuda } from '../src/index.ts';
import { places } from './places.ts';

for (const place of places()) {
  describe(`stream on cuda, ${place.name}`, async () => {
    if (place.skip !== '') {
      it.skip(place.skip);
      return;
    }
    const open = () => place.open(() => ao.createRuntime({ use: [cuda()] }));

    it('keeps the order of writes, kernels and reads, small and large', async () => {
      const rt = await open();
      for (const n of [5, 3000, 2_000_001]) {
        const x = ao.tensor(
          rt,
          Float32Array.from({ length: n }, (_, i) => i % 251),
        );
        const data = await ao.add(x, ao.full(rt, [n], 1)).data();
        expect([data[0], data[n - 1]]).toEqual([1, ((n - 1) % 251) + 1]);
      }
      await rt.close();
    });

    it('replays a plan, first kernel by kernel and then as a graph, with inputs of each turn', async () => {
      const rt = await open();
      const total = ao.zeros(rt, [4]);
      const plan = rt.capture((x) => [ao.copy_(total, ao.add(total, x!))], ao.zeros(rt, [4]));
      for (let i = 1; i <= 5; i++) plan.replay(ao.full(rt, [4], i));
      expect(await total.data()).toEqual(Float32Array.of(15, 15, 15, 15));
      plan.dispose();
      await rt.close();
    });

    it('names op and index where an index lies outside, and goes on afterwards', async () => {
      const rt = await open();
      const table = ao.ones(rt, [10, 8]);
      const ids = (id: number) => ao.tensor(rt, [1, id], { dtype: ao.int32 });
      await expect(ao.embedding(table, ids(12)).data()).rejects.toThrow(/index 12 at position 1 .* 10 there are/);
      expect((await ao.embedding(table, ids(9)).data())[15]).toBe(1);
      await rt.close();
    });
  });
}
