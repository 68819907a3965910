// Bytes from one stream to another in the order of both, eager and in plans, and failures that travel with them.
import { expect, it } from 'vitest';
import { BAD_DTYPE, backendFor, busy, F32, floats, values } from './helpers.ts';

it('takes what was written before and not what is written after, while both streams are busy', async () => {
  const [a, b] = [backendFor(), backendFor()];
  const scratch = [a, b].map((backend) => floats(backend, new Float32Array(100_000)));
  const from = floats(a, [1, 2, 3, 4]);
  const to = floats(b, new Float32Array(4));
  for (let i = 1; i <= 50; i++) {
    busy(a, scratch[0]!, 3);
    a.calls.fill(from.ptr, 4, F32, i);
    expect(b.copyFrom(a, from, 4, to, 0, 12)).toBe(true);
    a.calls.fill(from.ptr, 4, F32, -1);
    busy(b, scratch[1]!, 2);
    if (i % 10 === 0) expect(await values(b, to)).toEqual([i, i, i, 0]);
  }
});

it('is part of plans, turn by turn, there and back', async () => {
  const [a, b] = [backendFor(), backendFor()];
  const x = floats(a, [0]);
  const there = b.alloc(4);
  a.beginCapture();
  b.beginCapture();
  b.copyFrom(a, x, 0, there, 0, 4);
  b.calls.add_scalar_i32(there.ptr, 1, 1);
  a.copyFrom(b, there, 0, x, 0, 4);
  const plans = [a.endCapture(), b.endCapture()] as const;
  for (let i = 0; i < 300; i++) {
    a.replay(plans[0]);
    b.replay(plans[1]);
  }
  const total = async (): Promise<number> => new Int32Array((await a.read(x, 0, 4)).buffer)[0]!;
  expect(await total()).toBe(300);
  a.freePlan(plans[0]);
  b.freePlan(plans[1]);
  expect(await total()).toBe(300);
});

it('passes a failure on, and the next good turn heals', async () => {
  const [a, b] = [backendFor(), backendFor()];
  const x = floats(a, [1]);
  const to = floats(b, [0]);
  a.calls.fill(x.ptr, 1, BAD_DTYPE, 2);
  b.copyFrom(a, x, 0, to, 0, 4);
  await expect(b.read(to, 0, 4)).rejects.toThrow(/fill/);
  a.write(x, 0, new Uint8Array(Float32Array.of(7).buffer));
  b.copyFrom(a, x, 0, to, 0, 4);
  expect(await values(b, to)).toEqual([7]);
});

it('does not keep a process or a stream waiting for a sender that is gone', async () => {
  const [a, b] = [backendFor(), backendFor()];
  const x = floats(a, [5]);
  const to = b.alloc(4);
  b.copyFrom(a, x, 0, to, 0, 4);
  await a.close();
  expect(await values(b, to)).toEqual([5]);
});
