// The cache is shared with Python: huggingface_hub finds what ao downloaded, without a request, and ao what Python did.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { filesIn, HubCase, NEEDED } from './hub-case.ts';

const PYTHON = join(process.env['AO_CACHE'] ?? join(homedir(), '.cache', 'ao-peers'), 'py/bin/python');
const there = existsSync(PYTHON);
if (!there) console.warn(`skipped: ${PYTHON} is not there (pnpm bench peers installs it)`);

const python = async (code: string, env: Record<string, string> = {}): Promise<unknown> => {
  const options = { env: { ...process.env, HF_HUB_DISABLE_PROGRESS_BARS: '1', ...env } };
  const { stdout } = await promisify(execFile)(PYTHON, ['-c', `import json, huggingface_hub as h\n${code}`], options);
  return JSON.parse(stdout);
};

describe.skipIf(!there)('huggingface_hub', () => {
  let hub: HubCase;
  beforeEach(async () => {
    hub = await HubCase.start();
  });
  afterEach(() => hub.end());

  test('takes ao’s snapshot offline, and its scan finds nothing to warn of', async () => {
    const folder = await hub.pull();
    const offline = { HF_HUB_OFFLINE: '1' };
    expect(await python('print(json.dumps(h.hf_hub_download("org/model", "model.safetensors")))', offline)).toBe(
      join(folder, 'model.safetensors'),
    );
    expect(
      await python(
        'print(json.dumps(h.snapshot_download("org/model", allow_patterns=["*.json", "model.safetensors"])))',
        offline,
      ),
    ).toBe(folder);
    const scan =
      's = h.scan_cache_dir(); print(json.dumps([len(s.warnings), [[r.repo_id, r.nb_files, list(r.refs)] for r in s.repos]]))';
    expect(await python(scan)).toEqual([0, [['org/model', NEEDED.length, ['main']]]]);
  }, 60_000);

  test('downloads nothing that ao has', async () => {
    const folder = await hub.pull();
    hub.server.asked.length = 0;
    expect(
      await python(
        'print(json.dumps(h.snapshot_download("org/model", allow_patterns=["*.json", "model.safetensors", "*.jinja"], ignore_patterns=["onnx*"])))',
      ),
    ).toBe(folder);
    expect(hub.server.asked.filter((a) => a.method === 'GET' && a.path.includes('/resolve/'))).toEqual([]);
  }, 60_000);

  test('has what ao needs: no request but for the branch; offline none', async () => {
    const folder = await python('print(json.dumps(h.snapshot_download("org/model")))');
    const before = await filesIn(hub.repo);
    hub.server.asked.length = 0;
    expect(await hub.pull()).toBe(folder);
    expect(hub.server.contents).toEqual([]);
    expect(await hub.pull({ localFilesOnly: true })).toBe(folder);
    const added = (await filesIn(hub.repo)).filter((path) => !before.includes(path) && !path.startsWith('trees/'));
    expect(added).toEqual([]);
    await rm(join(hub.repo, 'trees'), { recursive: true, force: true });
    expect(await hub.pull({ localFilesOnly: true })).toBe(folder);
  }, 60_000);
});
