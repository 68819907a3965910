// Hub ids where folders go: which files, where they lie, who may, and what the errors say.
import { execFile } from 'node:child_process';
import { mkdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AutoConfig } from '../../src/auto-config.ts';
import { Meter } from '../../src/hub/meter.ts';
import { filterPaths } from '../../src/hub/patterns.ts';
import { checkedRevision, isRepoId } from '../../src/hub/repo-id.ts';
import { snapshotDownload } from '../../src/hub/resolve-model.ts';
import { hubSettings } from '../../src/hub/settings.ts';
import type { ProgressEvent } from '../../src/progress.ts';
import { AutoTokenizer } from '../../src/tokenizer/auto-tokenizer.ts';
import { FILES, filesIn, HubCase, NEEDED, REPO, WEIGHTS } from './hub-case.ts';
import { COMMIT, sha256 } from './hub-server.ts';

let hub: HubCase;
const TOKEN = 'hf_secret';
const start = async (repository: Parameters<typeof HubCase.start>[0] = {}): Promise<void> => {
  await hub?.end();
  hub = await HubCase.start(repository);
};
beforeEach(() => start());
afterEach(() => hub.end());

describe('the cache', () => {
  test('has Python’s layout: refs, blobs by etag, relative links, the listing', async () => {
    expect(await hub.pull()).toBe(join(hub.repo, 'snapshots', COMMIT));
    expect(await readFile(join(hub.repo, 'refs/main'), 'utf8')).toBe(COMMIT);
    expect(await readlink(join(hub.repo, 'snapshots', COMMIT, 'model.safetensors'))).toBe(
      join('..', '..', 'blobs', sha256(WEIGHTS)),
    );
    expect(await hub.soundness()).toEqual({ blobs: NEEDED.length, parked: 0 });
    const { files } = JSON.parse(await readFile(join(hub.repo, `trees/${COMMIT}.json`), 'utf8')) as {
      files: Record<string, unknown>;
    };
    expect(files['model.safetensors']).toMatchObject({ lfs_sha256: sha256(WEIGHTS), lfs_size: WEIGHTS.length });
  });

  test('serves a second time with one request, a commit with none, offline with none', async () => {
    const folder = await hub.pull();
    hub.server.asked.length = 0;
    expect(await hub.pull()).toBe(folder);
    expect(hub.server.asked.map((a) => a.path)).toEqual([`/api/models/${REPO}/revision/main`]);
    hub.server.asked.length = 0;
    expect(await hub.pull({ revision: COMMIT })).toBe(folder);
    process.env['HF_HUB_OFFLINE'] = '1';
    expect(await hub.pull()).toBe(folder);
    expect(hub.server.asked).toEqual([]);
  });

  test('a new commit shares the blobs that did not change', async () => {
    await hub.pull();
    const next = 'f'.repeat(40);
    hub.server.add(REPO, { files: { ...FILES, 'config.json': '{"model_type":"llama","new":1}' }, commit: next });
    hub.server.asked.length = 0;
    expect(await hub.pull()).toBe(join(hub.repo, 'snapshots', next));
    expect(hub.server.contents).toEqual(['config.json']);
    expect((await hub.soundness()).blobs).toBe(NEEDED.length + 1);
  });

  test('a blob that something cut short is fetched again', async () => {
    await hub.pull();
    await writeFile(join(hub.repo, 'blobs', sha256(WEIGHTS)), 'short');
    await hub.pull();
    expect(await hub.soundness()).toEqual({ blobs: NEEDED.length, parked: 0 });
  });

  test('several calls at once: each file is fetched once', async () => {
    const folders = await Promise.all([hub.pull(), hub.pull(), hub.pull(), hub.pull({ revision: COMMIT })]);
    expect(new Set(folders).size).toBe(1);
    // an LFS file is asked for at the hub and where that redirects to
    expect(hub.server.contents.toSorted()).toEqual([...NEEDED, 'model.safetensors'].toSorted());
    await hub.soundness();
  });
});

describe('which files', () => {
  test('what loaders read: never .bin, onnx or README; several at once', async () => {
    expect(await filesIn(await hub.pull())).toEqual(NEEDED);
  });

  test('AutoConfig asks for config.json, AutoTokenizer not for weights', async () => {
    await expect(AutoConfig.fromPretrained(REPO)).rejects.toThrow(/hidden_size/);
    expect(hub.server.contents).toEqual(expect.arrayContaining(['config.json']));
    await AutoTokenizer.fromPretrained(REPO).catch(() => {});
    expect(hub.server.contents.some((c) => c.startsWith('model.'))).toBe(false);
  });

  test('shards: those that the index names, and one total', async () => {
    const index = JSON.stringify({ metadata: {}, weight_map: { a: 'x-1.safetensors', b: 'x-2.safetensors' } });
    const files = {
      'config.json': '{}',
      'model.safetensors.index.json': index,
      'x-1.safetensors': WEIGHTS,
      'x-2.safetensors': WEIGHTS.slice(5),
      'y.safetensors': 'other',
    };
    await start({ files });
    const events: ProgressEvent[] = [];
    const folder = await hub.pull({ onProgress: (event) => events.push(event) });
    expect(await filesIn(folder)).toEqual([
      'config.json',
      'model.safetensors.index.json',
      'x-1.safetensors',
      'x-2.safetensors',
    ]);
    const total = 2 + 2 * WEIGHTS.length - 5;
    expect(events.at(-1)).toMatchObject({ phase: 'download', loaded: total, total });
  });

  test('two at once and more', async () => {
    const shards = ['a', 'b', 'c'].map((name) => `${name}.safetensors`);
    const weight_map = Object.fromEntries(shards.map((shard) => [shard, shard]));
    const files = Object.fromEntries(shards.map((shard, i) => [shard, WEIGHTS.slice(i)]));
    await start({
      files: { ...files, 'config.json': '{}', 'model.safetensors.index.json': JSON.stringify({ weight_map }) },
    });
    // none ends before all have begun
    hub.server.fault = ({ path }) => (path.startsWith('cdn:') ? { silentAfter: 10 } : undefined);
    const controller = new AbortController();
    const pulling = hub.fails({ signal: controller.signal });
    while (!shards.every((shard) => hub.server.asked.some((a) => a.path.startsWith('cdn:') && a.path.endsWith(shard))))
      await new Promise((r) => setTimeout(r, 5));
    controller.abort(new Error('seen'));
    expect((await pulling).message).toBe('seen');
  });

  test('a listing in pages', async () => {
    hub.server.pageSize = 2;
    expect(await filesIn(await hub.pull())).toEqual(NEEDED);
  });

  test('patterns: only and not, as fnmatch', async () => {
    expect(await filesIn(await hub.pull({ allowPatterns: ['*.json', 'onnx/'], ignorePatterns: ['gen*'] }))).toEqual([
      'config.json',
      'onnx/model.onnx',
      'tokenizer.json',
    ]);
    const paths = ['a.json', 'b/a.json', 'a+b.txt', 'x1.bin', 'x2.bin'];
    expect(filterPaths(paths, ['a.?son'])).toEqual(['a.json']);
    expect(filterPaths(paths, ['*.json'])).toEqual(['a.json', 'b/a.json']);
    expect(filterPaths(paths, ['x[!2].bin', 'a+b.*'])).toEqual(['a+b.txt', 'x1.bin']);
  });

  test('a subfolder', async () => {
    await start({ files: { 'README.md': '', 'text/config.json': '{}', 'text/model.safetensors': WEIGHTS } });
    expect(await hub.pull({ subfolder: 'text' })).toBe(join(hub.repo, 'snapshots', COMMIT, 'text'));
    expect((await hub.fails({ subfolder: '../..' })).message).toMatch(/leads out of the model/);
    expect((await hub.fails({ subfolder: 'txt' })).message).toMatch(/org\/model\/txt at main has no config\.json/);
  });

  test('no safetensors: an error that names what there is, before any download', async () => {
    await start({ files: { 'config.json': '{}', 'pytorch_model.bin': 'x' } });
    expect((await hub.fails()).message).toMatch(/neither model\.safetensors nor .* it has pytorch_model\.bin/);
    expect(hub.server.contents).toEqual([]);
  });

  test('XET storage: @huggingface/hub reads it, cut or not', async () => {
    const files = { 'config.json': '{}', 'model.safetensors': WEIGHTS.slice(0, 5000) };
    await start({ files, xet: true });
    await hub.pull();
    expect(hub.server.asked.some((a) => a.path.includes('/xorb/'))).toBe(true);
    expect(hub.server.asked.some((a) => a.path.startsWith('cdn:') && a.path.includes('/blob/'))).toBe(false);
    expect(await hub.soundness(files)).toEqual({ blobs: 2, parked: 0 });
    await rm(hub.cache, { recursive: true });
    hub.server.fault = ({ path }) => (path.includes('/xorb/') ? { cutAfter: 1000 } : undefined);
    await hub.pull();
    expect(hub.server.asked.some((a) => a.path.includes('/blob/'))).toBe(true);
    expect(await hub.soundness(files)).toEqual({ blobs: 2, parked: 0 });
  });
});

describe('revisions', () => {
  test('branch, tag and commit', async () => {
    const other = 'abcdef0123'.repeat(4);
    await start({ refs: { 'v1.0': COMMIT, 'refs/pr/1': other } });
    expect(await hub.pull({ revision: 'v1.0' })).toBe(join(hub.repo, 'snapshots', COMMIT));
    expect(await hub.pull({ revision: 'refs/pr/1' })).toBe(join(hub.repo, 'snapshots', other));
    expect(await filesIn(join(hub.repo, 'refs'))).toEqual(['refs/pr/1', 'v1.0']);
    expect((await hub.fails({ revision: 'nope' })).message).toMatch(/org\/model has no revision 'nope'.*refs/);
    expect(() => checkedRevision('../../etc')).toThrow(/cannot be one/);
  });
});

describe('names', () => {
  test('a folder that exists wins over a hub id', async () => {
    const before = process.cwd();
    await mkdir(join(hub.home, REPO), { recursive: true });
    process.chdir(hub.home);
    try {
      expect(await snapshotDownload(REPO)).toBe(REPO);
      expect(hub.server.asked).toEqual([]);
    } finally {
      process.chdir(before);
    }
  });

  test('what is neither: an error that says both', async () => {
    await expect(snapshotDownload('./no/such/folder')).rejects.toThrow(/no folder .* nor can it be a hub id.*SmolLM2/);
    await expect(snapshotDownload('org/absent')).rejects.toThrow(
      /'org\/absent' is no folder here, and .* has no model of that name.*HF_TOKEN/,
    );
    expect(['org/name', 'gpt2', 'a/b.c-d_e'].every(isRepoId)).toBe(true);
    expect(['a/b/c', '../x', 'a--b/c', '.hidden', 'a/b.git', 'a b', '/x', 'x/', 'C:\\x', ''].some(isRepoId)).toBe(
      false,
    );
  });
});

describe('offline', () => {
  test('without the file: an error that names it and the variable, and no request', async () => {
    process.env['HF_HUB_OFFLINE'] = '1';
    expect((await hub.fails()).message).toMatch(
      /HF_HUB_OFFLINE.* lacks config\.json of it at main.*ao pull org\/model/,
    );
    expect(hub.server.asked).toEqual([]);
  });

  test('with config and tokenizer alone: the weights are named', async () => {
    await hub.pull({ allowPatterns: ['*.json'] });
    hub.server.asked.length = 0;
    expect((await hub.fails({ localFilesOnly: true })).message).toMatch(/lacks model\.safetensors of it/);
    expect(hub.server.asked).toEqual([]);
  });
});

describe('access', () => {
  test('a private model: without token, with a wrong and with the right one', async () => {
    await start({ privateTo: TOKEN });
    expect((await hub.fails()).message).toMatch(/has no model of that name, or it is private \(401\).*set HF_TOKEN/);
    process.env['HF_TOKEN'] = 'hf_wrong';
    const wrong = (await hub.fails()).message;
    expect(wrong).toMatch(/the token may not see it \(404\)/);
    expect(wrong).not.toContain('hf_wrong');
    process.env['HF_TOKEN'] = TOKEN;
    await hub.pull();
    await hub.soundness();
  });

  test('a gated model: the page to visit, and the token where there is none', async () => {
    await start({ gatedTo: TOKEN });
    expect((await hub.fails()).message).toMatch(
      /org\/model is gated: it needs a token.*accept its conditions on http:\/\/[^ ]+\/org\/model, then .*HF_TOKEN/,
    );
    await hub.soundness();
    expect((await hub.fails({ token: 'hf_other' })).message).toMatch(
      /is gated: the account of this token has no access/,
    );
    await hub.pull({ token: TOKEN });
  });

  test('a refused token: an error without it', async () => {
    hub.server.fault = () => ({ status: 401, headers: { 'x-error-message': `Invalid credentials: ${TOKEN}` } });
    const { message } = await hub.fails({ token: TOKEN });
    expect(message).toMatch(/refused the token \(401\).*settings\/tokens/);
    expect(message).not.toContain(TOKEN);
  });

  test('the token comes from HF_HOME/token, goes to the hub, and never to where it redirects', async () => {
    await writeFile(join(hub.home, 'token'), `${TOKEN}\n`);
    await hub.pull();
    const tokens = (cdn: boolean) =>
      new Set(hub.server.asked.filter((a) => a.path.startsWith('cdn:') === cdn).map((a) => a.token));
    expect(tokens(false)).toEqual(new Set([TOKEN]));
    expect(tokens(true)).toEqual(new Set([undefined]));
    hub.server.asked.length = 0;
    await rm(hub.cache, { recursive: true });
    await hub.pull({ token: false });
    expect(tokens(false)).toEqual(new Set([undefined]));
  });

  test('a path that leads out of the cache is not taken', async () => {
    await start({
      files: { 'config.json': '{}', 'model.safetensors': WEIGHTS, '../../escape.json': 'x', 'a\\b.json': 'y' },
    });
    expect(await filesIn(await hub.pull({ allowPatterns: ['*'] }))).toEqual(['config.json', 'model.safetensors']);
  });
});

test('importing the package does not load @huggingface/hub, asking a hub does', async () => {
  const program = `
    import { registerHooks } from 'node:module';
    let loaded = 0;
    registerHooks({ load: (url, context, next) => (url.includes('@huggingface/hub') && loaded++, next(url, context)) });
    const { snapshotDownload } = await import('@ao/hf-integration');
    const before = loaded;
    await snapshotDownload('${REPO}');
    console.log(JSON.stringify([before, loaded > 0]));`;
  const args = ['--conditions=@ao/source', '--input-type=module', '--eval', program];
  const cwd = fileURLToPath(new URL('../../../guard/', import.meta.url));
  expect((await promisify(execFile)(process.execPath, args, { cwd })).stdout).toBe('[0,true]\n');
});

test('settings are those of huggingface_hub', () => {
  expect(
    hubSettings({ HF_HOME: '/h', HF_TOKEN: ' t ', HF_ENDPOINT: 'http://x/', HF_HUB_OFFLINE: 'TRUE' }),
  ).toMatchObject({ cache: '/h/hub', token: 't', endpoint: 'http://x', offline: true });
  expect(hubSettings({ XDG_CACHE_HOME: '/x' }).cache).toBe('/x/huggingface/hub');
  expect(hubSettings({ HF_HUB_CACHE: '$BASE/c', BASE: '/b' }).cache).toBe('/b/c');
  expect(hubSettings({}).endpoint).toBe('https://huggingface.co');
  expect(() => hubSettings({ HF_ENDPOINT: 'nonsense' })).toThrow(/HF_ENDPOINT is 'nonsense'/);
});

test('progress: rate of the last seconds, time left, what was there before counts as loaded only', () => {
  let now = 0;
  const events: ProgressEvent[] = [];
  const meter = new Meter(
    1000,
    (event) => events.push(event),
    () => now,
  );
  meter.add('a', 400, false);
  now = 1000;
  meter.add('a', 100, true);
  expect(events.at(-1)).toMatchObject({ loaded: 500, total: 1000, bytesPerSecond: 100, secondsLeft: 5 });
  now = 1050;
  meter.add('a', 1, true);
  expect(events).toHaveLength(2);
  for (let i = 0; i < 8; i++) {
    now += 1000;
    meter.add('b', 10, true);
  }
  expect(events.at(-1)!.bytesPerSecond).toBeCloseTo(10, 0);
  meter.add('b', -80, false);
  meter.add('b', 499, true);
  expect(events.at(-1)).toMatchObject({ loaded: 1000, total: 1000, secondsLeft: 0 });
});
