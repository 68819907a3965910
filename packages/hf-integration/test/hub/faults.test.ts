// The hub's faults: each case's name is the case and its outcome. After each, nothing broken is in the cache.
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FILES, filesIn, HubCase, NEEDED, WEIGHTS } from './hub-case.ts';
import type { Asked, Fault } from './hub-server.ts';

let hub: HubCase;
beforeEach(async () => {
  hub = await HubCase.start();
});
afterEach(() => hub.end());

const weights = ({ path }: Asked): boolean => path.startsWith('cdn:');
const onWeights = (fault: (before: number) => Fault | undefined) => {
  hub.server.fault = (asked, before) => (weights(asked) ? fault(before) : undefined);
};
const whole = async (folder: string): Promise<void> => {
  expect(await filesIn(folder)).toEqual(NEEDED);
  for (const name of NEEDED)
    expect(Buffer.from(FILES[name]!).equals(await readFile(join(folder, name))), name).toBe(true);
  expect(await hub.soundness()).toEqual({ blobs: NEEDED.length, parked: 0 });
};

describe('the download succeeds', () => {
  test('stream cut three times: goes on by Range where it ended', async () => {
    onWeights((before) => (before < 3 ? { cutAfter: 50_000 } : undefined));
    await whole(await hub.pull());
    const ranges = hub.server.contents.filter((c) => c.startsWith('model.safetensors bytes='));
    expect(new Set(ranges)).toEqual(
      new Set(['model.safetensors bytes=50000-', 'model.safetensors bytes=100000-', 'model.safetensors bytes=150000-']),
    );
  });

  test('stream cut and Range ignored: begins anew', async () => {
    onWeights((before) => (before === 0 ? { cutAfter: 50_000 } : { ignoreRange: true }));
    await whole(await hub.pull());
  });

  test('server falls silent: after HF_HUB_DOWNLOAD_TIMEOUT goes on by Range', async () => {
    process.env['HF_HUB_DOWNLOAD_TIMEOUT'] = '0.3';
    onWeights((before) => (before === 0 ? { silentAfter: 70_000 } : undefined));
    await whole(await hub.pull());
    expect(hub.server.contents).toContain('model.safetensors bytes=70000-');
  });

  test('a flipped bit once: the sha256 is wrong, thrown away, fetched again', async () => {
    onWeights((before) => (before === 0 ? { corrupt: true } : undefined));
    await whole(await hub.pull());
    expect(hub.server.contents.filter((c) => c === 'model.safetensors')).toHaveLength(4);
  });

  test('a flipped bit in a small file: git’s sha1 is wrong, fetched again', async () => {
    hub.server.fault = ({ path }, before) =>
      path.endsWith('resolve/0123456789abcdef0123456789abcdef01234567/config.json') && before === 0
        ? { corrupt: true }
        : undefined;
    await whole(await hub.pull());
  });

  test('contents and etag change between attempts and back: what was mixed is thrown away', async () => {
    const other = WEIGHTS.map((b) => b ^ 255);
    onWeights((before) =>
      before === 0 ? { instead: other, cutAfter: 90_000, headers: { etag: '"other"' } } : undefined,
    );
    await whole(await hub.pull());
  });

  test('429 with Retry-After: waits so long, then succeeds', async () => {
    let wanted = '30';
    hub.server.fault = ({ path }, before) =>
      path.includes('/revision/') && before < 2 ? { status: 429, headers: { 'retry-after': wanted } } : undefined;
    // with delays of 1 ms of its own it would have asked again by then
    await hub.fails({ signal: AbortSignal.timeout(200) });
    expect(hub.server.asked).toHaveLength(1);
    wanted = '0';
    await whole(await hub.pull());
  });

  test.each([500, 502, 503, 504, 408])('%i on every path twice: tried again', async (status) => {
    hub.server.fault = (_, before) => (before < 2 ? { status } : undefined);
    await whole(await hub.pull());
  });

  test('the listing cut: asked for again', async () => {
    hub.server.fault = ({ path }, before) => (path.includes('/tree/') && before < 2 ? { cutAfter: 40 } : undefined);
    await whole(await hub.pull());
    expect(hub.server.asked.filter((a) => a.path.includes('/tree/'))).toHaveLength(3);
  });

  test('a damaged partial file of an earlier process: the hash is wrong, fetched from its start', async () => {
    onWeights((before) => ({ cutAfter: before === 0 ? 50_000 : 0 }));
    await hub.fails({ retries: 0 });
    const [parked] = (await filesIn(hub.repo)).filter((path) => path.endsWith('.parked.incomplete'));
    await writeFile(join(hub.repo, parked!), Buffer.alloc(60_000, 7));
    hub.server.fault = () => undefined;
    await whole(await hub.pull());
  });

  test('a partial file longer than the file: dropped', async () => {
    onWeights((before) => ({ cutAfter: before === 0 ? 50_000 : 0 }));
    await hub.fails({ retries: 0 });
    const [parked] = (await filesIn(hub.repo)).filter((path) => path.endsWith('.parked.incomplete'));
    await appendFile(join(hub.repo, parked!), Buffer.alloc(400_000));
    hub.server.fault = () => undefined;
    await whole(await hub.pull());
  });

  test('the process died while writing: its partial file is taken over', async () => {
    onWeights((before) => ({ cutAfter: before === 0 ? 50_000 : 0 }));
    await hub.fails({ retries: 0 });
    const [parked] = (await filesIn(hub.repo)).filter((path) => path.endsWith('.parked.incomplete'));
    const { createHash } = await import('node:crypto');
    const { hostname } = await import('node:os');
    const { rename } = await import('node:fs/promises');
    const host = createHash('sha1').update(hostname()).digest('hex').slice(0, 8);
    // no process has this number: above the largest that Linux gives
    await rename(join(hub.repo, parked!), join(hub.repo, parked!.replace('parked', `${host}-4194305-1`)));
    hub.server.fault = () => undefined;
    await whole(await hub.pull());
    expect(hub.server.contents.at(-1)).toBe('model.safetensors bytes=50000-');
  });

  test('an interrupted download: the next one goes on where it ended', async () => {
    onWeights(() => ({ silentAfter: 120_000 }));
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 300);
    const error = await hub.fails({ signal: controller.signal });
    expect(error.message).toBe('enough');
    expect((await hub.soundness()).parked).toBe(1);
    hub.server.fault = () => undefined;
    const begun: number[] = [];
    await whole(await hub.pull({ onProgress: ({ loaded }) => begun.push(loaded) }));
    expect(hub.server.contents.at(-1)).toBe('model.safetensors bytes=120000-');
    expect(begun.at(-1)).toBe(WEIGHTS.length);
  });
});

describe('the download fails, and the cache stays sound', () => {
  const nothingOfWeights = async (): Promise<void> => {
    await hub.soundness();
    expect((await filesIn(join(hub.repo, 'snapshots'))).some((path) => path.endsWith('.safetensors'))).toBe(false);
    // a ref means a whole snapshot
    expect(await filesIn(join(hub.repo, 'refs'))).toEqual([]);
  };

  test('a flipped bit each time: an error that names file and hash, nothing kept', async () => {
    onWeights(() => ({ corrupt: true }));
    const error = await hub.fails();
    expect(error.message).toMatch(
      /model\.safetensors of org\/model came damaged .* sha256 is not the listed [0-9a-f]{64}/,
    );
    await nothingOfWeights();
    expect((await hub.soundness()).parked).toBe(0);
  });

  test('shorter than listed: an error that says how many bytes came', async () => {
    onWeights(() => ({ instead: WEIGHTS.slice(0, 200_000) }));
    expect((await hub.fails({ retries: 2 })).message).toMatch(/only 200000 of 300000 bytes came/);
    await nothingOfWeights();
  });

  test('longer than listed with the right beginning: taken up to its size', async () => {
    onWeights(() => ({ instead: Buffer.concat([WEIGHTS, WEIGHTS]) }));
    await whole(await hub.pull());
  });

  test('cut without a byte each time: gives up after the retries', async () => {
    onWeights(() => ({ cutAfter: 0 }));
    expect((await hub.fails({ retries: 3 })).message).toMatch(
      /model\.safetensors of org\/model cannot be had from .*HF_ENDPOINT/,
    );
    expect(hub.server.asked.filter(weights).length).toBe(4);
    await nothingOfWeights();
  });

  test('503 each time: an error with the status, after the retries', async () => {
    onWeights(() => ({ status: 503 }));
    expect((await hub.fails({ retries: 2 })).message).toMatch(/answered 503 for model\.safetensors/);
    await nothingOfWeights();
  });

  test('HF_ENDPOINT is no hub: an error that says so', async () => {
    hub.server.fault = () => ({ status: 200 });
    expect((await hub.fails()).message).toMatch(/gave no usable answer for org\/model.*check that HF_ENDPOINT/);
  });

  test('429 that wants an hour: an error at once', async () => {
    hub.server.fault = () => ({ status: 429, headers: { 'retry-after': '3600' } });
    expect((await hub.fails()).message).toMatch(/too many requests \(429\).*set HF_TOKEN/);
    expect(hub.server.asked).toHaveLength(1);
  });

  test('no server: an error that names it and offline use', async () => {
    process.env['HF_ENDPOINT'] = 'http://127.0.0.1:9';
    expect((await hub.fails({ retries: 1 })).message).toMatch(
      /'org\/model' is no folder here, and cannot be had from http:\/\/127\.0\.0\.1:9: .*HF_HUB_OFFLINE=1/,
    );
  });

  test('no server, but the cache has it: the cache serves, and it is said', async () => {
    const folder = await hub.pull();
    process.env['HF_ENDPOINT'] = 'http://127.0.0.1:9';
    const said: string[] = [];
    expect(await hub.pull({ retries: 0, log: ({ message }) => said.push(message) })).toBe(folder);
    expect(said).toEqual([expect.stringMatching(/cannot be had .* the cache's org\/model at 0123456 serves/)]);
  });

  test('one file fails: the others are whole', async () => {
    onWeights(() => ({ status: 404 }));
    expect((await hub.fails()).message).toMatch(/has no file model\.safetensors/);
    await nothingOfWeights();
    expect((await hub.soundness()).parked).toBe(0);
  });
});
