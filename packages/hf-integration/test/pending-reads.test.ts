import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRuntime, encodeArray, float32, openSafetensors, writeSafetensors } from '@ao/core';
import { cpu } from '@ao/kernels-cpu';
import { expect, test } from 'vitest';
import { createFile, openFile } from '../src/files/node-file.ts';
import { PendingReads } from '../src/files/pending-reads.ts';
import { readTensor } from '../src/files/read-tensor.ts';

function deferred(): { promise: Promise<void>; resolve(): void; reject(error: Error): void } {
  let settle: { resolve(): void; reject(error: Error): void } | undefined;
  const promise = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, ...settle! };
}

test('what comes after a read waits for it, in order; all() gives the first failure', async () => {
  const pending = new PendingReads();
  const seen: string[] = [];
  pending.after(() => seen.push('nothing before'));
  const [a, b] = [deferred(), deferred()];
  await pending.add(a.promise, 1);
  pending.after(() => seen.push('a'));
  pending.after(() => seen.push('a again'));
  await pending.add(b.promise, 1);
  pending.after(() => seen.push('b'));
  expect(seen).toEqual(['nothing before']);
  a.resolve();
  b.reject(new Error('disk'));
  await expect(pending.all()).rejects.toThrow('disk');
  expect(seen).toEqual(['nothing before', 'a', 'a again']);
  await pending.ended();
});

test('add waits for the oldest once half a gigabyte is under way', async () => {
  const pending = new PendingReads();
  const first = deferred();
  await pending.add(first.promise, 512 << 20);
  let room = false;
  const second = pending.add(Promise.resolve(), 1).then(() => {
    room = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(room).toBe(false);
  first.resolve();
  await second;
  await pending.all();
});

test('a tensor is read behind JavaScript, and a file that ends too early is told', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ao-pending-'));
  const rt = await createRuntime({ use: [cpu()] });
  try {
    const path = join(folder, 'a.safetensors');
    const values = Float32Array.from({ length: 1000 }, (_, i) => i);
    await writeSafetensors(await createFile(path), [{ name: 'x', dtype: 'F32', shape: [1000] }], ({ begin, end }) =>
      new Uint8Array(encodeArray(float32, values).buffer).subarray(begin, end),
    );
    await writeFile(join(folder, 'short'), new Uint8Array(100));
    const [source, short] = [await openFile(path), await openFile(join(folder, 'short'))];
    const pending = new PendingReads();
    const options = { device: 'cpu', pending };
    const x = await readTensor(rt, await openSafetensors(source), 'x', options);
    await pending.all();
    expect(await x.data()).toEqual(values);
    const cut = await openSafetensors({ ...source, fd: short.fd! });
    await readTensor(rt, cut, 'x', options);
    await expect(pending.all()).rejects.toMatchObject({ code: 'ERR_AO_STREAM', message: /ends at byte 100/ });
    await source.close();
    await short.close();
  } finally {
    await rt.close();
    await rm(folder, { recursive: true });
  }
});
