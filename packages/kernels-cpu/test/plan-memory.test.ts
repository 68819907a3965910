// Tensors freed inside a capture give their memory to later ones of the same plan.
import { add, createRuntime, type Dense, scope, zeros } from '@ao/core';
import { expect, it } from 'vitest';
import { cpu } from '../src/index.ts';

it('reuses the blocks of a plan', async () => {
  await using rt = await createRuntime({ use: [cpu()] });
  const x = zeros(rt, [1 << 16]); // 256 KiB
  const before = rt.backend('cpu').memory().live;
  using plan = rt.capture((input) => {
    let y: Dense = input;
    for (let i = 0; i < 40; i++) {
      const next = scope(() => add(y, 1) as Dense);
      if (y !== input) y.dispose();
      y = next;
    }
    return y;
  }, x);
  expect(rt.backend('cpu').memory().live - before).toBeLessThan(6 * (1 << 18));
  const [y] = plan.replay();
  expect((await y!.data())[0]).toBe(40);
});
