import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ByteSource } from './bytes.ts';
import { bytesSource } from './bytes.ts';
import { openSafetensors } from './safetensors-read.ts';
import { safetensorsHeader } from './safetensors-write.ts';

const GIB = 2 ** 30;
const items = [
  { name: 'big', dtype: 'F32', shape: [5, GIB / 4] },
  { name: 'last', dtype: 'U8', shape: [4] },
];
const layout = safetensorsHeader(items);

describe('a file of 5 GiB', () => {
  it('costs its header and the ranges that are read', async () => {
    let read = 0;
    const source: ByteSource = {
      name: 'virtual',
      size: layout.size,
      read: async (offset, length) => {
        read += length;
        if (offset < layout.header.length) return layout.header.slice(offset, offset + length);
        return Uint8Array.from({ length }, (_, i) => (offset - layout.header.length + i) % 251);
      },
    };
    const file = await openSafetensors(source);
    expect(file.entry('big').end).toBe(5 * GIB);
    const at = 5 * GIB - 3;
    expect([...(await file.readRange('big', at, at + 3))]).toEqual([0, 1, 2].map((i) => (at + i) % 251));
    expect([...(await file.read('last'))]).toEqual([0, 1, 2, 3].map((i) => (5 * GIB + i) % 251));
    expect(read).toBe(layout.header.length + 7);
  });

  it('works from a sparse file on disk', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ao-sparse-'));
    const handle = await open(join(folder, 'sparse.safetensors'), 'w+');
    try {
      await handle.write(layout.header, 0, layout.header.length, 0);
      await handle.truncate(layout.size);
      await handle.write(Uint8Array.of(1, 2, 3, 4), 0, 4, layout.size - 4);
      const file = await openSafetensors({
        name: 'sparse.safetensors',
        size: (await handle.stat()).size,
        read: async (offset, length) => {
          const { bytesRead, buffer } = await handle.read(new Uint8Array(length), 0, length, offset);
          return buffer.subarray(0, bytesRead);
        },
      });
      expect([...(await file.read('last'))]).toEqual([1, 2, 3, 4]);
      expect([...(await file.readRange('big', 5 * GIB - 2, 5 * GIB))]).toEqual([0, 0]);
    } finally {
      await handle.close();
      await rm(folder, { recursive: true });
    }
  });
});

describe('a header of 25 MB', () => {
  const many = Array.from({ length: 218_000 }, (_, i) => ({
    name: `model.layers.${i}.mlp.experts.gate_up_projection.weight`,
    dtype: 'U8',
    shape: [1],
  }));

  it('is read whole, and a fault at its end is found', async () => {
    const { header, size } = safetensorsHeader(many);
    expect(header.length).toBeGreaterThan(25e6);
    const bytes = new Uint8Array(size);
    bytes.set(header);
    bytes[size - 1] = 7;
    const file = await openSafetensors(bytesSource(bytes));
    expect(file.names.length).toBe(many.length);
    expect([...(await file.read(file.names.at(-1) as string))]).toEqual([7]);
    await expect(openSafetensors(bytesSource(bytes.subarray(0, size - 1)))).rejects.toThrow(/cut short/);
  }, 60_000);

  it('is refused above 100 MB, by reader and writer', async () => {
    const name = 'x'.repeat(50_000_000);
    const two = ['a', 'b'].map((end) => ({ name: name + end, dtype: 'U8', shape: [1] }));
    expect(() => safetensorsHeader(two)).toThrow(/above the format's limit/);
    const head = new Uint8Array(8);
    new DataView(head.buffer).setBigUint64(0, 100_000_008n, true);
    const source: ByteSource = { name: 'v', size: 2e8, read: async (o, n) => head.slice(o, o + n) };
    await expect(openSafetensors(source)).rejects.toThrow(/100000008, above the format's limit/);
  }, 60_000);
});
