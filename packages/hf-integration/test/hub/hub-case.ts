// One test's hub: a server with a small repository, a cache of its own, and what must hold of the cache whatever happened.
import { lstat, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isAbsolute, join, relative } from 'node:path';
import { expect } from 'vitest';
import { type SnapshotOptions, snapshotDownload } from '../../src/hub/resolve-model.ts';
import { gitSha1, HubServer, type Repository, sha256 } from './hub-server.ts';

export const REPO = 'org/model';
/** 300 thousand bytes that no two places share. */
export const WEIGHTS = Uint8Array.from({ length: 300_000 }, (_, i) => (Math.imul(i + 1, 2654435761) >>> 13) & 255);
export const FILES: Record<string, Uint8Array | string> = {
  'config.json': '{"model_type":"llama"}',
  'generation_config.json': '{}',
  'tokenizer.json': '{"model":{}}',
  'chat_template.jinja': '{{ messages }}',
  'model.safetensors': WEIGHTS,
  'pytorch_model.bin': 'never wanted',
  'README.md': '# a model',
  'onnx/model.onnx': 'nor this',
};
export const NEEDED = [
  'chat_template.jinja',
  'config.json',
  'generation_config.json',
  'model.safetensors',
  'tokenizer.json',
];

const VARIABLES = [
  'HF_ENDPOINT',
  'HF_HOME',
  'HF_HUB_CACHE',
  'HF_TOKEN',
  'HF_HUB_OFFLINE',
  'HF_HUB_DOWNLOAD_TIMEOUT',
  'HF_TOKEN_PATH',
  'HUGGINGFACE_HUB_CACHE',
  'HUGGING_FACE_HUB_TOKEN',
  'TRANSFORMERS_OFFLINE',
];

export class HubCase {
  readonly server: HubServer;
  readonly home: string;
  readonly #before = Object.fromEntries(VARIABLES.map((name) => [name, process.env[name]]));

  private constructor(server: HubServer, home: string) {
    this.server = server;
    this.home = home;
    for (const name of VARIABLES) delete process.env[name];
    process.env['HF_ENDPOINT'] = server.url;
    process.env['HF_HOME'] = home;
  }

  static async start(repository: Partial<Repository> = {}): Promise<HubCase> {
    const server = await HubServer.start();
    server.add(REPO, { files: FILES, ...repository });
    return new HubCase(server, await mkdtemp(join(tmpdir(), 'ao-hub-')));
  }

  async end(): Promise<void> {
    await this.server.stop();
    for (const [name, value] of Object.entries(this.#before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    await rm(this.home, { recursive: true, force: true });
  }

  get cache(): string {
    return join(this.home, 'hub');
  }

  get repo(): string {
    return join(this.cache, 'models--org--model');
  }

  pull(options: SnapshotOptions = {}): Promise<string> {
    return snapshotDownload(REPO, { retryDelay: 1, ...options });
  }

  async fails(options: SnapshotOptions = {}): Promise<Error> {
    return this.pull(options).then(
      () => expect.fail('the download succeeded'),
      (error: Error) => error,
    );
  }

  /** Fails on anything broken: a blob that is not what its name says, a link to nothing or an absolute one, a stray file. */
  async soundness(contents: Repository['files'] = FILES): Promise<{ readonly blobs: number; readonly parked: number }> {
    let blobs = 0;
    let parked = 0;
    for (const path of await filesIn(this.repo)) {
      const full = join(this.repo, path);
      const [kind, name = ''] = path.split('/');
      if (kind === 'blobs' && name.endsWith('.parked.incomplete')) {
        parked++;
        // what is kept to go on with is the beginning of the right bytes
        const bytes = await readFile(full);
        const whole = Object.values(contents)
          .map((c) => Buffer.from(c))
          .find((c) => [sha256(c), gitSha1(c)].includes(name.split('.')[0]!));
        expect(whole?.subarray(0, bytes.length).equals(bytes), path).toBe(true);
      } else if (kind === 'blobs') {
        blobs++;
        const bytes = await readFile(full);
        expect([sha256(bytes), gitSha1(bytes)], path).toContain(name);
      } else if (kind === 'snapshots') {
        const target = await readlink(full);
        expect(isAbsolute(target), path).toBe(false);
        expect((await lstat(join(full, '..', target))).isFile(), path).toBe(true);
      } else expect(['refs', 'trees'], path).toContain(kind);
    }
    return { blobs, parked };
  }
}

export async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((e) => !e.isDirectory())
    .map((e) => relative(folder, join(e.parentPath, e.name)))
    .sort();
}
