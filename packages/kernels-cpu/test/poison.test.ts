// What a failing command does to the commands behind it, and how memory heals.
import { type AoError, isAoError } from '@ao/core';
import { describe, expect, it } from 'vitest';
import type { CpuBackend } from '../src/backend.ts';
import { BAD_DTYPE, backendFor, copyKernel, F32, floats, values } from './helpers.ts';

const caught = (promise: Promise<unknown>): Promise<AoError> =>
  promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: AoError) => error,
  );

const failFill = (backend: CpuBackend, ptr: number): void => backend.calls.fill(ptr, 1, BAD_DTYPE, 0);

describe('poison', () => {
  it('passes the first failure down a chain, with op, module and sequence number', async () => {
    let site = { op: '', module: '' };
    const heard: AoError[] = [];
    const backend = backendFor({}, { site: () => site, onFailure: (error) => heard.push(error) });
    const [a, b, c, other] = [floats(backend, [1]), floats(backend, [2]), floats(backend, [3]), floats(backend, [4])];
    backend.calls.fill(a.ptr, 1, F32, 5);
    site = { op: 'linear', module: 'layers.3.mlp' };
    failFill(backend, a.ptr);
    site = { op: 'add', module: 'layers.4' };
    copyKernel(backend, b, a);
    backend.copy(c, 0, b, 0, 4);
    copyKernel(backend, other, other);
    for (const x of [a, b, c]) {
      const error = await caught(values(backend, x));
      expect(isAoError(error, 'ERR_AO_STREAM')).toBe(true);
      expect(error).toMatchObject({ op: 'linear', module: 'layers.3.mlp' });
      expect(error.message).toMatch(/command 2, kernel fill/);
      expect(error.message).toMatch(/dtype/);
      expect(() => backend.readSync(x, 0, 4)).toThrow(error.message);
    }
    expect(await values(backend, other)).toEqual([4]);
    expect(heard.map((error) => error.op)).toEqual(['linear']);
  });

  it('skips what reads a poisoned buffer, and leaves its old content', async () => {
    const backend = backendFor();
    const [a, b] = [floats(backend, [1]), floats(backend, [2])];
    failFill(backend, a.ptr);
    backend.calls.silu_mul(b.ptr, a.ptr, a.ptr, 1, 1, 1, 1, F32);
    await expect(values(backend, b)).rejects.toThrow();
    backend.discard(b);
    expect(await values(backend, b)).toEqual([2]);
  });

  it('heals by a whole write, OUT, copy or discard, and not by a part', async () => {
    const backend = backendFor();
    const [x, good] = [floats(backend, [1, 2]), floats(backend, [8, 9])];
    const heals: [string, () => void, number[]][] = [
      ['write', () => backend.write(x, 0, new Uint8Array(Float32Array.of(3, 4).buffer)), [3, 4]],
      ['OUT', () => backend.calls.fill(x.ptr, 2, F32, 6), [6, 6]],
      ['copy', () => backend.copy(x, 0, good, 0, 8), [8, 9]],
      ['discard', () => backend.discard(x), [8, 9]],
    ];
    for (const [name, heal, expected] of heals) {
      failFill(backend, x.ptr);
      backend.write(x, 4, new Uint8Array(4));
      backend.calls.fill(x.ptr + 4, 1, F32, 9);
      backend.copy(x, 4, good, 4, 4);
      copyKernel(backend, x, good);
      await expect(values(backend, x), name).rejects.toThrow();
      heal();
      expect(await values(backend, x), name).toEqual(expected);
    }
  });

  it('follows pointers into the middle of a buffer', async () => {
    const backend = backendFor();
    const [x, out] = [floats(backend, [1, 2, 3, 4]), floats(backend, [0])];
    failFill(backend, x.ptr + 12);
    backend.calls.silu_mul(out.ptr, x.ptr + 4, x.ptr + 4, 1, 1, 1, 1, F32);
    await expect(values(backend, out)).rejects.toMatchObject({ op: 'fill' });
  });

  it('does not outlive its buffer: the next owner of the block is clean', async () => {
    const backend = backendFor();
    const good = floats(backend, [1, 2]);
    for (let i = 0; i < 100; i++) {
      const x = backend.alloc(8);
      if (i % 2 === 0) failFill(backend, x.ptr);
      else {
        copyKernel(backend, x, good);
        expect(await values(backend, x)).toEqual([1, 2]);
      }
      backend.free(x);
    }
  });

  it('keeps the error of a buffer whose block has a new owner by the time it is read', async () => {
    const backend = backendFor();
    const work = backend.alloc(4 << 20);
    for (let i = 0; i < 20; i++) backend.calls.fill(work.ptr, 1 << 20, F32, i);
    const [x, out] = [backend.alloc(8), backend.alloc(8)];
    failFill(backend, x.ptr);
    backend.copy(out, 0, x, 0, 8);
    const block = x.ptr;
    backend.free(x);
    const next = floats(backend, [5, 6]);
    expect(next.ptr).toBe(block);
    const bad = caught(values(backend, out));
    expect(await values(backend, next)).toEqual([5, 6]);
    expect(await bad).toMatchObject({ op: 'fill' });
  });

  it('finds the site of a failure long after', async () => {
    let module = 'first';
    const backend = backendFor({}, { site: () => ({ op: 'op', module }), onFailure: () => {} });
    const [x, y] = [floats(backend, [1]), floats(backend, [1])];
    failFill(backend, x.ptr);
    module = 'later';
    for (let i = 0; i < 30_000; i++) backend.calls.fill(y.ptr, 1, F32, i);
    await expect(values(backend, x)).rejects.toMatchObject({ module: 'first' });
  });

  it('checks every field where asked to', async () => {
    const backend = backendFor({ check: true });
    const x = floats(backend, [1]);
    backend.calls.copy_strided(x.ptr, 4096, F32, F32, 1, [1], [1], [1]);
    await expect(values(backend, x)).rejects.toThrow(/x points to no live buffer/);
    backend.calls.fill(x.ptr, Number.NaN, F32, 0);
    await expect(values(backend, x)).rejects.toThrow(/n is not a number/);
    backend.calls.fill(x.ptr, 1, F32, Number.NaN);
    expect(await values(backend, x)).toEqual([Number.NaN]);
  });
});
