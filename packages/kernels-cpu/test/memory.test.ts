// Alignment, size classes, reuse in stream order, the limit, and giving memory back.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { capacityOf } from '../src/allocator.ts';
import { backendFor, busy, copyKernel, F32, floats, values } from './helpers.ts';

const MiB = 1 << 20;

describe('size classes', () => {
  it('hold the request, are stable, monotonic, and waste at most a fifth', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 40 }), fc.integer({ min: 0, max: 2 ** 20 }), (n, d) => {
        const capacity = capacityOf(n);
        expect(capacity).toBeGreaterThanOrEqual(n);
        expect(capacity % 64).toBe(0);
        expect(capacityOf(capacity)).toBe(capacity);
        expect(capacityOf(n + d)).toBeGreaterThanOrEqual(capacity);
        if (n > 512) expect(capacity).toBeLessThanOrEqual(n * 1.2);
      }),
    );
  });
});

describe('memory', () => {
  it('is 64-byte aligned, with 64 readable bytes behind', () => {
    const backend = backendFor();
    for (const n of [0, 1, 64, 4000, 100_000, 5 * MiB]) expect(backend.alloc(n).ptr % 64).toBe(0);
  });

  it('is reused at once, and stays in order for the commands before', async () => {
    const backend = backendFor();
    const work = backend.alloc(4 * MiB);
    busy(backend, work, 10);
    const x = floats(backend, [1, 2]);
    const kept = backend.alloc(8);
    copyKernel(backend, kept, x);
    const block = x.ptr;
    backend.free(x);
    backend.free(x);
    const y = backend.alloc(8);
    expect(y.ptr).toBe(block);
    expect(backend.alloc(8).ptr).not.toBe(block);
    backend.calls.fill(y.ptr, 2, F32, 9);
    expect(await values(backend, kept)).toEqual([1, 2]);
    expect(await values(backend, y)).toEqual([9, 9]);
  });

  it('serves a large request from a block a little larger', () => {
    const backend = backendFor();
    const x = backend.alloc(10 * MiB);
    const block = x.ptr;
    backend.free(x);
    const y = backend.alloc(9 * MiB);
    expect(y.ptr).toBe(block);
    backend.free(y);
    expect(backend.alloc(7 * MiB).ptr).not.toBe(block);
  });

  it('counts live, peak and reserved bytes', () => {
    const backend = backendFor();
    const [a, b] = [backend.alloc(1000), backend.alloc(3 * MiB)];
    expect(backend.memory()).toMatchObject({ live: 1000 + 3 * MiB, peak: 1000 + 3 * MiB, reserved: 1024 + 3 * MiB });
    backend.free(b);
    expect(backend.memory()).toMatchObject({ live: 1000, peak: 1000 + 3 * MiB, reserved: 1024 + 3 * MiB });
    backend.trim();
    expect(backend.memory().reserved).toBe(1024);
    backend.free(a);
  });

  it('goes back to the system, in stream order', async () => {
    const backend = backendFor();
    const n = 64 * MiB;
    const rss = (): number => process.memoryUsage.rss();
    const x = backend.alloc(n);
    busy(backend, x, 2);
    await backend.sync();
    const held = rss();
    busy(backend, x, 3);
    backend.free(x);
    backend.trim();
    await backend.sync();
    expect(held - rss()).toBeGreaterThan(n / 2);
  });

  it('goes back by itself when nothing has used it for long', () => {
    const backend = backendFor();
    const small = backend.alloc(64);
    backend.free(backend.alloc(8 * MiB));
    expect(backend.memory().reserved).toBeGreaterThan(8 * MiB);
    for (let i = 0; i < 80_000; i++) {
      backend.calls.fill(small.ptr, 1, F32, i);
      if (i % 1000 === 0) backend.free(backend.alloc(64));
    }
    expect(backend.memory().reserved).toBeLessThan(MiB);
  });

  it('has a limit, which names the live bytes', async () => {
    const backend = backendFor({ memoryLimit: 10 * MiB });
    const x = backend.alloc(6 * MiB);
    expect(() => backend.alloc(5 * MiB)).toThrow(
      expect.objectContaining({
        code: 'ERR_AO_MEMORY',
        message: expect.stringMatching(new RegExp(`${6 * MiB} bytes are live`)) as string,
      }),
    );
    // cached blocks of other sizes make way
    backend.free(x);
    const y = backend.alloc(2 * MiB);
    backend.calls.fill(y.ptr, 4, F32, 1);
    const z = backend.alloc(8 * MiB);
    backend.calls.fill(z.ptr, 4, F32, 2);
    expect((await values(backend, y)).slice(0, 4)).toEqual([1, 1, 1, 1]);
    expect(backend.memory().reserved).toBeLessThanOrEqual(10 * MiB);
    expect(() => backend.alloc(Number.NaN)).toThrow(/alloc of NaN/);
    expect(() => backendFor().alloc(2 ** 60)).toThrow(expect.objectContaining({ code: 'ERR_AO_SHAPE' }));
    expect(() => backendFor().alloc(2 ** 52)).toThrow(/the system has no more/);
  });

  it('takes AO_MEMORY_LIMIT', () => {
    process.env['AO_MEMORY_LIMIT'] = '1000000';
    try {
      expect(() => backendFor().alloc(2_000_000)).toThrow(/limit is 1000000/);
    } finally {
      delete process.env['AO_MEMORY_LIMIT'];
    }
  });
});
