// Order, transfers, back-pressure and closing.
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAX_QUEUED } from '../src/protocol.ts';
import { backendFor, busy, copyKernel, F32, floats, values } from './helpers.ts';

describe('the stream', () => {
  it('runs 100,000 commands in order', async () => {
    const backend = backendFor();
    const [a, b] = [floats(backend, [0, 0]), floats(backend, [0, 0])];
    for (let i = 0; i < 50_000; i++) {
      backend.calls.fill(a.ptr, 2, F32, i);
      if (i % 1000 === 999) copyKernel(backend, b, a);
      else backend.calls.silu_mul(b.ptr, a.ptr, a.ptr, 1, 2, 2, 2, F32);
      if (i % 10_000 === 9999) expect(await values(backend, b)).toEqual([i, i]);
    }
  });

  it('wakes a sleeping thread, whatever the pause before the next command', async () => {
    const backend = backendFor();
    const x = floats(backend, [0]);
    for (let i = 0; i < 2000; i++) {
      const until = performance.now() + (i % 100) / 1000;
      while (performance.now() < until);
      backend.calls.fill(x.ptr, 1, F32, i);
      if (i % 7 === 0) expect(await values(backend, x)).toEqual([i]);
    }
    expect(await values(backend, x)).toEqual([1999]);
  });

  it('takes written bytes at once, small, large and into a new block', async () => {
    const backend = backendFor();
    const work = backend.alloc(1 << 20);
    for (const n of [1, 1000, 1024, 1025, 300_000]) {
      busy(backend, work, 5);
      const old = floats(backend, new Float32Array(n).fill(3));
      const data = Float32Array.from({ length: n }, (_, i) => i);
      backend.write(old, 0, new Uint8Array(data.buffer));
      const fresh = floats(backend, data);
      data.fill(-1);
      const expected = Array.from({ length: n }, (_, i) => i);
      expect(await values(backend, old)).toEqual(expected);
      expect(await values(backend, fresh)).toEqual(expected);
      backend.free(old);
      backend.free(fresh);
    }
  });

  it('orders writes behind the commands before them', async () => {
    const backend = backendFor();
    const work = backend.alloc(4 << 20);
    const x = floats(backend, [1, 2]);
    const before = floats(backend, [0, 0]);
    busy(backend, work, 20);
    copyKernel(backend, before, x);
    backend.write(x, 4, new Uint8Array(Float32Array.of(9).buffer));
    const reads = [values(backend, before), values(backend, x)];
    busy(backend, work, 20);
    backend.calls.fill(x.ptr, 2, F32, 7);
    expect(await Promise.all([...reads, values(backend, x)])).toEqual([
      [1, 2],
      [1, 9],
      [7, 7],
    ]);
    backend.calls.fill(x.ptr, 2, F32, 8);
    expect([...new Float32Array(backend.readSync(x, 0, 8).buffer)]).toEqual([8, 8]);
  });

  it('copies ranges between buffers', async () => {
    const backend = backendFor();
    const [x, y] = [floats(backend, [1, 2, 3, 4]), floats(backend, [0, 0, 0, 0])];
    backend.copy(y, 4, x, 8, 8);
    backend.copy(x, 4, x, 0, 12);
    expect(await values(backend, y)).toEqual([0, 3, 4, 0]);
    expect(await values(backend, x)).toEqual([1, 1, 2, 3]);
  });

  it('fills buffers from files, and says where a file is too short', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ao-stream-'));
    try {
      const data = Float32Array.from({ length: 1000 }, (_, i) => i);
      writeFileSync(join(folder, 'data'), data);
      const fd = openSync(join(folder, 'data'), 'r');
      const backend = backendFor();
      const x = floats(backend, [0, 0, 0]);
      await backend.readFileInto(x, 4, 8, fd, 400);
      expect(await values(backend, x)).toEqual([0, 100, 101]);
      await expect(backend.readFileInto(x, 0, 12, fd, 3996)).rejects.toThrow(/ends at byte 4000/);
      await expect(values(backend, x)).rejects.toMatchObject({ code: 'ERR_AO_STREAM', op: 'readFileInto' });
      await backend.readFileInto(x, 0, 12, fd, 0);
      expect(await values(backend, x)).toEqual([0, 1, 2]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('blocks and counts at the limit of queued commands', async () => {
    const backend = backendFor({ threads: 1 });
    const work = backend.alloc(1 << 20);
    busy(backend, work, 2 * MAX_QUEUED);
    expect(backend.memory().blocked).toBeGreaterThan(0);
    expect(backend.memory().queued).toBeLessThanOrEqual(MAX_QUEUED);
    await backend.sync();
    expect(backend.memory().queued).toBe(0);
    expect((await values(backend, work))[5]).toBe(2 * MAX_QUEUED - 1);
  });

  it('finishes what is queued when it closes, and refuses what comes later', async () => {
    const backend = backendFor();
    const x = backend.alloc(1 << 20);
    busy(backend, x, 500);
    const read = backend.read(x, 0, 4);
    const closed = backend.close();
    expect(() => backend.calls.fill(x.ptr, 1, F32, 0)).toThrow(/closed/);
    expect(new Float32Array((await read).buffer)[0]).toBe(499);
    await closed;
    await backend.close();
    backend.free(x);
    expect(() => backend.alloc(10)).toThrow(/closed/);
    await expect(backend.read(x, 0, 4)).rejects.toMatchObject({ code: 'ERR_AO_DISPOSED' });
    expect(() => backend.write(x, 0, new Uint8Array(1))).toThrow(/closed/);
  });

  it('names a transfer outside of its buffer, and a freed buffer', () => {
    const backend = backendFor();
    const x = floats(backend, [1]);
    expect(() => backend.write(x, 1, new Uint8Array(4))).toThrow(/bytes 1\.\.5 of a buffer of 4/);
    backend.free(x);
    expect(() => backend.readSync(x, 0, 4)).toThrow(expect.objectContaining({ code: 'ERR_AO_DISPOSED' }));
  });

  it('says which setting is wrong', () => {
    expect(() => backendFor({ threads: -1 })).toThrow(expect.objectContaining({ code: 'ERR_AO_CONFIG' }));
    expect(() => backendFor({ isa: 'sse9' })).toThrow(/unknown instruction set 'sse9'/);
    expect(() => backendFor({ memoryLimit: -5 })).toThrow(/AO_MEMORY_LIMIT/);
  });
});
