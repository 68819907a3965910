// Capture and replay: the same bits as eager, an arena of its own, and what a capture refuses.
import { describe, expect, it } from 'vitest';
import type { CpuBuffer } from '../src/allocator.ts';
import type { CpuBackend } from '../src/backend.ts';
import { BAD_DTYPE, backendFor, busy, copyKernel, F32, floats, values } from './helpers.ts';

/** out = silu(silu(x)·x)·x ... `depth` times, each step in a new buffer. */
function chain(backend: CpuBackend, x: CpuBuffer, depth: number): CpuBuffer {
  const n = x.nbytes / 4;
  let last = x;
  for (let i = 0; i < depth; i++) {
    const next = backend.alloc(x.nbytes);
    backend.calls.silu_mul(next.ptr, last.ptr, x.ptr, 1, n, n, n, F32);
    if (last !== x) backend.free(last);
    last = next;
  }
  return last;
}

describe('plans', () => {
  it('give the bits of the same calls made eagerly, at every replay', async () => {
    const backend = backendFor();
    const input = Float32Array.from({ length: 777 }, (_, i) => Math.sin(i) * 4);
    const x = floats(backend, input);
    backend.beginCapture();
    const out = chain(backend, x, 30);
    const plan = backend.endCapture();
    expect(plan.commands).toBe(30);
    for (let round = 0; round < 5; round++) {
      backend.write(x, 0, new Uint8Array(input.map((v) => v + round).buffer));
      backend.replay(plan);
      const replayed = await values(backend, out);
      const eager = chain(backend, x, 30);
      expect(replayed).toEqual(await values(backend, eager));
      backend.free(eager);
    }
  });

  it('run nothing while they are recorded', async () => {
    const backend = backendFor();
    const x = floats(backend, [1]);
    backend.beginCapture();
    backend.calls.fill(x.ptr, 1, F32, 2);
    const plan = backend.endCapture();
    expect(await values(backend, x)).toEqual([1]);
    backend.replay(plan);
    expect(await values(backend, x)).toEqual([2]);
  });

  it('reuse memory inside, and keep it from everyone else until they are freed', async () => {
    const backend = backendFor();
    const x = floats(backend, new Float32Array(1000));
    const { reserved } = backend.memory();
    backend.beginCapture();
    const out = chain(backend, x, 100);
    const plan = backend.endCapture();
    const arena = backend.memory().reserved - reserved;
    expect(arena).toBeLessThanOrEqual(2 * 4096);
    backend.free(out);
    const outside = Array.from({ length: 10 }, () => backend.alloc(4000));
    expect(backend.memory().reserved).toBe(reserved + arena + 10 * outside[0]!.capacity);
    backend.freePlan(plan);
    backend.freePlan(plan);
    const again = Array.from({ length: 2 }, () => backend.alloc(4000));
    expect(backend.memory().reserved).toBe(reserved + arena + 10 * outside[0]!.capacity);
    expect(new Set([...outside, ...again].map((b) => b.ptr)).size).toBe(12);
    expect(() => backend.replay(plan)).toThrow(/was freed/);
  });

  it('leave a buffer that outlives them to its owner', async () => {
    const backend = backendFor();
    backend.beginCapture();
    const out = backend.alloc(8);
    backend.calls.fill(out.ptr, 2, F32, 3);
    const plan = backend.endCapture();
    backend.replay(plan);
    backend.freePlan(plan);
    const other = floats(backend, [1, 1]);
    expect(other.ptr).not.toBe(out.ptr);
    expect(await values(backend, out)).toEqual([3, 3]);
    const block = out.ptr;
    backend.free(out);
    expect(backend.alloc(8).ptr).toBe(block);
  });

  it('are freed behind their queued replays', async () => {
    const backend = backendFor();
    const [work, x] = [backend.alloc(4 << 20), floats(backend, [0])];
    for (let i = 0; i < 50; i++) {
      busy(backend, work, 2);
      backend.beginCapture();
      const next = backend.alloc(4);
      backend.calls.fill(next.ptr, 1, F32, i);
      backend.copy(x, 0, next, 0, 4);
      backend.free(next);
      const plan = backend.endCapture();
      backend.replay(plan);
      backend.freePlan(plan);
    }
    expect(await values(backend, x)).toEqual([49]);
  });

  it('name step, op and module of a failure, and run clean afterwards', async () => {
    let module = '';
    const backend = backendFor({}, { site: () => ({ op: 'embedding', module }), onFailure: () => {} });
    const dtype = floats(backend, [1]);
    backend.beginCapture();
    const [a, b] = [backend.alloc(4), backend.alloc(4)];
    module = 'model.embed';
    copyKernel(backend, a, dtype);
    module = 'model.head';
    backend.calls.fill(b.ptr, 1, BAD_DTYPE, 0);
    copyKernel(backend, b, a);
    const plan = backend.endCapture();
    const failing = floats(backend, [2]);
    backend.calls.fill(failing.ptr, 1, BAD_DTYPE, 0);
    backend.replay(plan);
    await expect(values(backend, b)).rejects.toMatchObject({ op: 'embedding', module: 'model.head' });
    await expect(values(backend, b)).rejects.toThrow(/step 1 of plan 1, kernel fill/);
    expect(await values(backend, a)).toEqual([1]);
    // a poisoned input poisons the replay; a healthy one heals it
    backend.copy(dtype, 0, failing, 0, 4);
    backend.replay(plan);
    await expect(values(backend, a)).rejects.toThrow(/command \d+, kernel fill/);
    backend.calls.fill(dtype.ptr, 1, F32, 7);
    backend.replay(plan);
    expect(await values(backend, a)).toEqual([7]);
  });

  it('hold many commands', async () => {
    const backend = backendFor();
    const x = floats(backend, [0]);
    backend.beginCapture();
    for (let i = 0; i < 20_000; i++) backend.calls.fill(x.ptr, 1, F32, i);
    const plan = backend.endCapture();
    expect(plan.commands).toBe(20_000);
    for (let i = 0; i < 10; i++) backend.replay(plan);
    expect(await values(backend, x)).toEqual([19_999]);
  });

  it('refuse by name what cannot be recorded', async () => {
    const backend = backendFor();
    const x = floats(backend, [1]);
    expect(() => backend.endCapture()).toThrow(/nothing is being captured/);
    backend.beginCapture();
    const plan = { commands: 0 };
    for (const [what, run] of [
      ['write', () => backend.write(x, 0, new Uint8Array(4))],
      ['readSync', () => backend.readSync(x, 0, 4)],
      ['beginCapture', () => backend.beginCapture()],
      ['replay', () => backend.replay(plan)],
      ['freePlan', () => backend.freePlan(plan)],
      ['prepare', () => backend.refuseWhileCapturing('prepare')],
    ] as const)
      expect(run).toThrow(
        expect.objectContaining({ code: 'ERR_AO_STREAM', message: expect.stringContaining(what) as string }),
      );
    await expect(backend.read(x, 0, 4)).rejects.toThrow(/read inside a capture/);
    await expect(backend.sync()).rejects.toThrow(/sync inside a capture/);
    expect(backend.capturing).toBe(true);
    backend.endCapture();
    expect(await values(backend, x)).toEqual([1]);
  });
});
