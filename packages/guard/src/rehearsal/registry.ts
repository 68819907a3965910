// A registry of one's own on this machine (verdaccio): @ao packages are those published to it, all others npm's.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface Registry {
  /** Ends with a slash. */
  readonly url: string;
  /** What an .npmrc needs to install from it, and what to publish to it beside. */
  readonly npmrc: string;
  readonly token: string;
  /** All versions of a package, with its channels. */
  packument(name: string): Promise<Packument>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Packument {
  readonly 'dist-tags': Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, { readonly dist: { readonly tarball: string } }>>;
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

function program(): string {
  const manifest = createRequire(import.meta.url).resolve('verdaccio/package.json');
  return join(dirname(manifest), (JSON.parse(readFileSync(manifest, 'utf8')) as { bin: string }).bin);
}

async function answers(url: string, child: ChildProcess, log: string): Promise<void> {
  for (let n = 0; child.exitCode === null && n < 300; n++) {
    if ((await fetch(`${url}-/ping`).catch(() => undefined))?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`verdaccio does not answer at ${url}\n${readFileSync(log, 'utf8')}`);
}

/** Starts one on a free port with an empty store; it asks npm for everything outside @ao and keeps it until it is disposed. */
export async function startRegistry(): Promise<Registry> {
  const folder = mkdtempSync(join(tmpdir(), 'ao-registry-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const upstream = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8', stdio: 'pipe' }).trim();
  const log = join(folder, 'log');
  mkdirSync(join(folder, 'storage'));
  writeFileSync(log, '');
  const config = {
    storage: join(folder, 'storage'),
    auth: { htpasswd: { file: join(folder, 'htpasswd') } },
    uplinks: { npm: { url: upstream, timeout: '60s', maxage: '60m' } },
    packages: {
      '@ao/*': { access: '$all', publish: '$all' },
      '**': { access: '$all', proxy: 'npm' },
    },
    web: { enable: false },
    max_body_size: '64mb',
    log: { type: 'file', path: log, level: 'warn' },
  };
  writeFileSync(join(folder, 'config.yaml'), JSON.stringify(config));
  const args = [program(), '--config', join(folder, 'config.yaml'), '--listen', `127.0.0.1:${port}`];
  const child = spawn(process.execPath, args, { cwd: folder, stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const stop = async (): Promise<void> => {
    child.kill();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await answers(url, child, log);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url,
    npmrc: `registry=${url}\n@ao:registry=${url}\n`,
    token: `${url.slice('http:'.length)}:_authToken=rehearsal\n`,
    async packument(name) {
      // no socket is kept: it would be closed while a command blocks this process
      const response = await fetch(`${url}${name}`, { headers: { connection: 'close' } });
      if (!response.ok) throw new Error(`${name} is not in the registry of the rehearsal: ${response.status}`);
      return (await response.json()) as Packument;
    },
    [Symbol.asyncDispose]: stop,
  };
}
