// MODEL as a hub id, against a hub on this machine.
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { COMMIT, HubServer, sha256 } from '../../../packages/hf-integration/test/hub/hub-server.ts';
import { facts } from '../src/progress.ts';
import { type Ran, start } from './run.ts';

const STORIES = fileURLToPath(new URL('../../stories-7m/', import.meta.url));
const FILES = ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];

let server: HubServer;
let home = '';
beforeAll(async () => {
  server = await HubServer.start();
  const there = FILES.filter((file) => existsSync(join(STORIES, file)));
  const files = Object.fromEntries(
    await Promise.all(there.map(async (f) => [f, new Uint8Array(await readFile(join(STORIES, f)))])),
  );
  server.add('ao/stories', { files: { ...files, 'pytorch_model.bin': 'x' }, refs: { v1: COMMIT } });
  home = await mkdtemp(join(tmpdir(), 'ao-cli-hub-'));
});
beforeEach(() => {
  server.asked.length = 0;
});
afterAll(async () => {
  await server.stop();
  await rm(home, { recursive: true, force: true });
});

const ao = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> =>
  start(args, {
    HF_ENDPOINT: server.url,
    HF_HOME: home,
    HF_TOKEN: 'hf_secret',
    HF_HUB_CACHE: join(home, 'hub'),
    HF_HUB_OFFLINE: '',
    ...env,
  }).ran;
const snapshot = (): string => join(home, 'hub/models--ao--stories/snapshots', COMMIT);

test('estimate reads headers alone and tells every number', async () => {
  const { code, stdout } = await ao(['estimate', 'ao/stories', '--scheme', 'int8wo', '--context', '256', '--json']);
  expect(code).toBe(0);
  const found = JSON.parse(stdout) as { schemes: { scheme: string; fits: boolean }[] };
  expect(found).toMatchObject({ architecture: 'LlamaForCausalLM', contextLength: 256, dtype: 'float32' });
  expect(found.schemes.map((s) => [s.scheme, s.fits])).toEqual([
    ['as it is', true],
    ['int8wo', true],
  ]);
  expect(await readdir(snapshot())).not.toContain('model.safetensors');
  const text = await ao(['estimate', 'ao/stories', '--scheme', 'int8wo', '--rule', 're:.*down_proj=none']);
  expect(text.stdout).toMatch(
    /scheme +file +weights +total, kv auto +total, kv bf16 +total, kv int8 +total, kv int4 +fits\n/,
  );
  expect(text.stdout).toMatch(/this machine: .* of memory/);
});

test('two pulls at once give the same whole folder; include and exclude choose', async () => {
  const both = await Promise.all([ao(['pull', 'ao/stories@v1']), ao(['pull', 'ao/stories'])]);
  for (const { code, stdout } of both) expect([code, stdout]).toEqual([0, `${snapshot()}\n`]);
  const blobs = await readdir(join(home, 'hub/models--ao--stories/blobs'));
  expect(blobs.filter((name) => !/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(name))).toEqual([]);
  expect(sha256(await readFile(join(snapshot(), 'model.safetensors')))).toBe(
    sha256(await readFile(join(STORIES, 'model.safetensors'))),
  );
  const some = await ao(
    ['pull', 'ao/stories', '--include', '*.bin', '--include', 'con*', '--exclude', '*.json', '--json'],
    { HF_HUB_CACHE: join(home, 'other') },
  );
  const { folder } = JSON.parse(some.stdout) as { folder: string };
  expect(await readdir(folder)).toEqual(['pytorch_model.bin']);
});

test('generate, inspect and quantize take the id; with everything there, and offline', async () => {
  const args = ['generate', 'ao/stories', '--prompt-ids', '1,2,3', '--max-tokens', '4', '--temperature', '0', '--json'];
  const ids = async (model: string, env = {}): Promise<unknown> => {
    const { code, stdout, stderr } = await ao([args[0]!, model, ...args.slice(2)], env);
    expect(code, stderr).toBe(0);
    return (JSON.parse(stdout) as { ids: number[] }).ids;
  };
  const wanted = await ids('stories-7m');
  expect(await ids('ao/stories')).toEqual(wanted);
  server.asked.length = 0;
  expect(await ids('ao/stories@v1', { HF_HUB_OFFLINE: '1' })).toEqual(wanted);
  expect(server.asked).toEqual([]);
  const out = join(home, 'int8');
  const made = await ao(['quantize', 'ao/stories', '--scheme', 'int8wo', '-o', out]);
  expect(made.code, made.stderr).toBe(0);
  // the tokenizer came along
  expect(await readdir(out)).toContain('tokenizer.json');
});

test('errors: one line with the fix, never the token; 2 for what cannot be a name', async () => {
  const cases: [number, RegExp, string[], Record<string, string>?][] = [
    [1, /'ao\/absent' is no folder here, and .* has no model of that name/, ['inspect', 'ao/absent']],
    [1, /has no revision 'nope'/, ['pull', 'ao/stories@nope']],
    [1, /has no revision 'nope'/, ['pull', 'ao/stories', '--revision', 'nope']],
    [1, /lacks config\.json of it at main.*unset HF_HUB_OFFLINE/, ['bench', 'ao/other'], { HF_HUB_OFFLINE: '1' }],
    [2, /nor can it be a hub id/, ['pull', 'a/b/c']],
    [2, /nor can it be a hub id/, ['pull', 'ao/stories@']],
  ];
  for (const [code, message, args, env] of cases) {
    const ran = await ao(args, env);
    expect(ran, args.join(' ')).toMatchObject({ code, stdout: '' });
    expect(ran.stderr).toMatch(message);
    expect(ran.stderr.trim().split('\n')).toHaveLength(1);
    expect(ran.stderr).not.toContain('hf_secret');
  }
});

test('Ctrl-C during a download: code 130, and the next one goes on', async () => {
  const env = { HF_ENDPOINT: server.url, HF_HOME: home, HF_HUB_CACHE: join(home, 'third') };
  const blobs = join(home, 'third/models--ao--stories/blobs');
  server.fault = ({ path }) => (path.startsWith('cdn:') ? { silentAfter: 1_000_000 } : undefined);
  const { child, ran } = start(['pull', 'ao/stories'], env);
  const size = async (): Promise<number> => {
    const names = existsSync(blobs) ? await readdir(blobs) : [];
    const sizes = await Promise.all(
      names
        .filter((n) => n.endsWith('.incomplete'))
        .map(async (n) => (await readFile(join(blobs, n)).catch(() => Buffer.alloc(0))).length),
    );
    return Math.max(0, ...sizes);
  };
  while ((await size()) < 1_000_000) await new Promise((r) => setTimeout(r, 10));
  child.kill('SIGINT');
  expect(await ran).toMatchObject({ code: 130, stdout: '' });
  expect((await readdir(blobs)).filter((n) => n.endsWith('.parked.incomplete'))).toHaveLength(1);
  server.fault = () => undefined;
  server.asked.length = 0;
  expect((await start(['pull', 'ao/stories'], env).ran).code).toBe(0);
  expect(server.contents).toContain('model.safetensors bytes=1000000-');
});

test('what the bar tells of a download', () => {
  const event = { phase: 'download', loaded: 1.2e9, total: 3.4e9, bytesPerSecond: 45e6, secondsLeft: 48.9 };
  expect(facts(event)).toBe('1.20 GB of 3.40 GB, 45.0 MB/s, 0:49 left  ');
  expect(facts({ ...event, secondsLeft: 4000 })).toMatch('1:06:40 left');
  expect(facts({ phase: 'load', loaded: 1, total: 2 })).toBe('');
});
