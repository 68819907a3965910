import { existsSync } from 'node:fs';
import { appendFile, mkdir, open, readdir, readFile, truncate, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Runtime } from '@ao/core';
import { parseScheme } from '@ao/quantization';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { autoRuntime } from '../src/auto-runtime.ts';
import { quantizeCheckpoint } from '../src/quantize/quantize-checkpoint.ts';
import { torchAoConfig } from '../src/quantize/torchao-config.ts';
import { type Tiny, tinyLlama } from './tiny.ts';

let runtime: Runtime;
let tiny: Tiny;
beforeAll(async () => {
  runtime = await autoRuntime();
  return () => runtime.close();
});
beforeEach(async () => {
  tiny = await tinyLlama({ tied: false });
});
afterEach(() => tiny.remove());

interface Event {
  readonly phase: string;
  readonly loaded: number;
  readonly total: number;
}

const quantize = (
  out: string,
  scheme = 'int4wo-32',
  onProgress: (e: Event) => void = () => {},
  signal?: AbortSignal,
): ReturnType<typeof quantizeCheckpoint> =>
  quantizeCheckpoint(tiny.folder, out, {
    quantizationConfig: torchAoConfig(parseScheme(scheme)),
    runtime,
    maxShardSize: 40_000,
    onProgress,
    ...(signal === undefined ? {} : { signal }),
  });

/** Stops a run by an abort once a phase has come so far; says which tensors it took. */
async function stopped(out: string, phase: string, share: number): Promise<void> {
  const controller = new AbortController();
  const stop = (e: Event): void => {
    if (e.phase === phase && e.loaded >= share * e.total) controller.abort();
  };
  await expect(quantize(out, 'int4wo-32', stop, controller.signal)).rejects.toThrow(/abort/i);
}

const work = (out: string): string => join(dirname(out), `.${out.slice(out.lastIndexOf('/') + 1)}.quantize`);

async function files(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).sort();
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, (await readFile(join(folder, name))).toString('latin1')])),
  );
}

describe('a quantization that was stopped goes on', () => {
  test.each([
    ['quantize', 0.5],
    ['quantize', 0.9],
    ['save', 0.1],
    ['save', 0.6],
  ])('from %s %d, to the same bytes and the same report', async (phase, share) => {
    const [whole, out] = [`${tiny.scratch}-whole`, tiny.scratch];
    const report = await quantize(whole);
    await stopped(out, phase, share);
    expect(existsSync(out)).toBe(false);
    const lines = (await readFile(join(work(out), 'journal'), 'utf8')).split('\n').length - 2;
    expect(lines).toBeGreaterThan(0);
    expect(await quantize(out)).toEqual(report);
    expect(await files(out)).toEqual(await files(whole));
    expect((await readdir(dirname(out))).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('after a cut line, lost bytes of the spool, and files half written', async () => {
    const [whole, out] = [`${tiny.scratch}-whole`, tiny.scratch];
    await quantize(whole);
    await stopped(out, 'save', 0.3);
    await appendFile(join(work(out), 'journal'), '{"name":"model.lay');
    await writeFile(join(work(out), 'model', '.model.safetensors.1.1.tmp'), 'half');
    // blocks that never reached the disk read as zeros
    const spool = await open(join(work(out), 'spool'), 'r+');
    const { size } = await spool.stat();
    await spool.write(new Uint8Array(64), 0, 64, size - 600);
    await spool.close();
    await quantize(out);
    expect(await files(out)).toEqual(await files(whole));
    await stopped(`${out}-2`, 'quantize', 0.5);
    await truncate(join(work(`${out}-2`), 'spool'), 100);
    await quantize(`${out}-2`);
    expect(await files(`${out}-2`)).toEqual(await files(whole));
  });

  test('while it moved the files into a folder that was there', async () => {
    const [whole, out] = [`${tiny.scratch}-whole`, tiny.scratch];
    await quantize(whole);
    await mkdir(out);
    await writeFile(join(out, 'model-00001-of-00002.safetensors'), 'old');
    await stopped(out, 'save', 1);
    // as if the process had died after the end was written and one file was moved
    const names = await readdir(join(work(out), 'model'));
    await appendFile(join(work(out), 'journal'), `${JSON.stringify({ end: [...names, 'config.json'] })}\n`);
    const config = await readFile(join(whole, 'config.json'));
    await writeFile(join(work(out), 'model', 'config.json'), config);
    await writeFile(join(out, names[0]!), await readFile(join(work(out), 'model', names[0]!)));
    await quantize(out);
    const expected = await files(whole);
    expect(await files(out)).toEqual(Object.fromEntries([...names, 'config.json'].sort().map((n) => [n, expected[n]])));
  });
});

describe('a full disk', () => {
  afterEach(() => vi.restoreAllMocks());

  test.each([1000, 20_000, 60_000, 80_000])(
    'after %d bytes is told, and the same call goes on once there is space',
    async (space) => {
      const [whole, out] = [`${tiny.scratch}-whole`, tiny.scratch];
      await quantize(whole);
      const probe = await open(join(tiny.folder, 'config.json'));
      const handle = Object.getPrototypeOf(probe) as { write(...args: unknown[]): Promise<unknown> };
      await probe.close();
      const { write } = handle;
      let left = space;
      vi.spyOn(handle, 'write').mockImplementation(function (this: unknown, ...args: unknown[]) {
        left -= typeof args[2] === 'number' ? args[2] : (args[0] as { length: number }).length;
        if (left >= 0) return write.apply(this, args);
        return Promise.reject(Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }));
      });
      await expect(quantize(out)).rejects.toThrow(/out: the disk is full.*run the same again: it goes on/);
      vi.restoreAllMocks();
      expect(existsSync(out)).toBe(false);
      await quantize(out);
      expect(await files(out)).toEqual(await files(whole));
    },
  );
});

describe('what was begun is not gone on with', () => {
  test('under another configuration, which is named', async () => {
    const out = tiny.scratch;
    await stopped(out, 'quantize', 0.5);
    await expect(quantize(out, 'int8wo')).rejects.toThrow(
      /begun with other things: quantizationConfig.*delete that folder/,
    );
    await quantize(out);
  });

  test('from another checkpoint, whose file is named', async () => {
    const out = tiny.scratch;
    await stopped(out, 'quantize', 0.5);
    const path = join(tiny.folder, 'model.safetensors');
    await utimes(path, 1, 1);
    await expect(quantize(out)).rejects.toThrow(/model\.safetensors was 1\d+ bytes of .* and is 1\d+ bytes of 1970/);
    await writeFile(join(tiny.folder, 'config.json'), `${await readFile(join(tiny.folder, 'config.json'), 'utf8')}\n`);
    await expect(quantize(out)).rejects.toThrow(/config\.json was/);
  });

  test('while another process works on it', async () => {
    const out = tiny.scratch;
    await stopped(out, 'quantize', 0.5);
    await writeFile(join(work(out), 'lock'), String(process.ppid));
    await expect(quantize(out)).rejects.toThrow(`process ${process.ppid} works in`);
    // one that is gone holds nothing
    await writeFile(join(work(out), 'lock'), '999999999');
    await quantize(out);
  });
});

/** Writes a BF16 value into a tensor of the checkpoint. */
async function spoil(tensor: string, index: number, bits: number): Promise<void> {
  const path = join(tiny.folder, 'model.safetensors');
  const file = await open(path, 'r+');
  const head = new DataView(new ArrayBuffer(8));
  await file.read(head, 0, 8, 0);
  const length = Number(head.getBigUint64(0, true));
  const json = new Uint8Array(length);
  await file.read(json, 0, length, 8);
  const entry = JSON.parse(new TextDecoder().decode(json))[tensor];
  await file.write(new Uint8Array([bits & 255, bits >> 8]), 0, 2, 8 + length + entry.data_offsets[0] + 2 * index);
  await file.close();
}

describe('a weight that is not finite is an error that names it', () => {
  test.each([
    [
      'model.layers.1.mlp.down_proj.weight',
      96 * 3 + 7,
      0x7fc0,
      /NaN at \[3,7\].*module model\.layers\.1\.mlp\.down_proj/,
    ],
    [
      'model.layers.0.self_attn.q_proj.weight',
      5,
      0xff80,
      /-Infinity at \[0,5\].*tensor model\.layers\.0\.self_attn\.q_proj/,
    ],
    ['model.norm.weight', 63, 0x7f80, / Infinity at \[63\].*model\.norm/],
    ['model.embed_tokens.weight', 64 * 127 + 1, 0xffc1, /NaN at \[127,1\].*model\.embed_tokens/],
  ])('%s', async (name, index, bits, message) => {
    await spoil(name, index, bits);
    await expect(quantize(tiny.scratch)).rejects.toThrow(message);
    expect(existsSync(tiny.scratch)).toBe(false);
    expect(existsSync(work(tiny.scratch))).toBe(false);
  });

  test('large values that are finite are no error', async () => {
    await spoil('model.layers.0.self_attn.q_proj.weight', 5, 0x7f00);
    await quantize(tiny.scratch, 'int8wo');
  });
});
