// A Hugging Face hub on this machine, for tests: the API (revision, tree in pages), resolve with redirects of LFS files to a
// second origin, XET storage, tokens, gates, and faults by request. Point HF_ENDPOINT at `url`.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Repository {
  readonly files: Readonly<Record<string, Uint8Array | string>>;
  /** Paths kept in LFS; default .safetensors. */
  readonly lfs?: RegExp;
  /** LFS files are in XET storage too. */
  readonly xet?: boolean;
  /** Who may see it, and who may read its files: the token, or nobody. */
  readonly privateTo?: string;
  readonly gatedTo?: string;
  /** Branches and tags besides main, by commit. */
  readonly refs?: Readonly<Record<string, string>>;
  readonly commit?: string;
}

/** What goes wrong with one answer. */
export interface Fault {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The connection ends after so many bytes of this answer. */
  readonly cutAfter?: number;
  /** Nothing more comes after so many bytes, the connection stays. */
  readonly silentAfter?: number;
  /** One bit of the answer is wrong. */
  readonly corrupt?: boolean;
  readonly ignoreRange?: boolean;
  /** Serves these bytes instead, under an etag of their own. */
  readonly instead?: Uint8Array;
}

export interface Asked {
  readonly method: string;
  /** Without query; 'cdn:' before those of the second origin. */
  readonly path: string;
  readonly range: string | undefined;
  readonly token: string | undefined;
}

export const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const CHUNK = 8;

export class HubServer {
  readonly asked: Asked[] = [];
  /** Called for each request with how many of the same method and path came before. */
  fault: (asked: Asked, before: number) => Fault | undefined = () => undefined;
  /** Entries a page of listings. */
  pageSize = 1000;
  readonly #repositories = new Map<string, Repository>();
  readonly #hub: Server;
  readonly #cdn: Server;

  private constructor() {
    this.#hub = createServer((req, res) => this.#serve(req, res, ''));
    this.#cdn = createServer((req, res) => this.#serve(req, res, 'cdn:'));
  }

  static async start(): Promise<HubServer> {
    const server = new HubServer();
    for (const one of [server.#hub, server.#cdn]) await new Promise<void>((done) => one.listen(0, '127.0.0.1', done));
    return server;
  }

  get url(): string {
    return urlOf(this.#hub);
  }

  add(name: string, repository: Repository): void {
    this.#repositories.set(name, repository);
  }

  /** Requests for contents, as 'path' or 'path bytes=...'. */
  get contents(): string[] {
    return this.asked
      .filter((a) => /\/resolve\/|^cdn:/.test(a.path))
      .map((a) => [a.path.split('/').at(-1), a.range].filter(Boolean).join(' '));
  }

  async stop(): Promise<void> {
    for (const one of [this.#hub, this.#cdn]) {
      one.closeAllConnections();
      await new Promise((done) => one.close(done));
    }
  }

  #serve(req: IncomingMessage, res: ServerResponse, origin: string): void {
    const url = new URL(req.url!, 'http://hub');
    const path = origin + decodeURIComponent(url.pathname);
    const { method = 'GET' } = req;
    const asked = { method, path, range: req.headers.range, token: req.headers.authorization?.replace('Bearer ', '') };
    const before = this.asked.filter((a) => a.path === path && a.method === method).length;
    this.asked.push(asked);
    const fault = this.fault(asked, before) ?? {};
    if (fault.status !== undefined) {
      res.writeHead(fault.status, fault.headers).end();
      return;
    }
    const place =
      /^(?:cdn:)?\/(?:api\/models\/)?((?:[\w.-]+\/)?[\w.-]+)\/(revision|tree|resolve|xet-token|blob|reconstruction|xorb)\/(.*)$/.exec(
        path,
      );
    const [, name = '', what, rest = ''] = place ?? [];
    const repository = this.#repositories.get(name);
    const mayNot = repository?.privateTo !== undefined && asked.token !== repository.privateTo && origin === '';
    if (!repository || mayNot) {
      refuse(res, asked.token ? 404 : 401, 'RepoNotFound', 'Repository not found');
      return;
    }
    if (what === 'revision') this.#revision(res, name, repository, rest);
    else if (what === 'tree') this.#tree(req, res, repository, url, fault);
    else if (what === 'resolve') this.#resolve(req, res, name, repository, rest, asked, fault);
    else if (what === 'blob') send(req, res, bytesOf(repository, rest), fault);
    else if (what === 'xet-token') json(res, { accessToken: 'xet', exp: Date.now() / 1000 + 3600, casUrl: this.url });
    else if (what === 'reconstruction') this.#reconstruction(req, res, name, repository, rest);
    else send(req, res, xorb(bytesOf(repository, rest)), fault);
  }

  #commitOf(repository: Repository, revision: string): string | undefined {
    const { commit = COMMIT, refs = {} } = repository;
    return revision === 'main' || revision === commit
      ? commit
      : (refs[revision] ?? Object.values(refs).find((c) => c === revision));
  }

  #revision(res: ServerResponse, name: string, repository: Repository, revision: string): void {
    const sha = this.#commitOf(repository, revision);
    if (sha === undefined) refuse(res, 404, 'RevisionNotFound', `Invalid rev id: ${revision}`);
    else {
      const siblings = Object.keys(repository.files).map((rfilename) => ({ rfilename }));
      json(res, {
        _id: '1',
        id: name,
        modelId: name,
        sha,
        private: false,
        gated: false,
        downloads: 0,
        likes: 0,
        tags: [],
        siblings,
        lastModified: '2026-01-01T00:00:00.000Z',
        createdAt: '2026-01-01T00:00:00.000Z',
      });
    }
  }

  #tree(req: IncomingMessage, res: ServerResponse, repository: Repository, url: URL, fault: Fault): void {
    const from = Number(url.searchParams.get('cursor') ?? 0);
    const all = Object.keys(repository.files).map((path) => {
      const bytes = bytesOf(repository, path);
      const lfs = isLfs(repository, path) && {
        lfs: { oid: etagOf(repository, path), size: bytes.length, pointerSize: 130 },
      };
      const xet = isLfs(repository, path) && repository.xet && { xetHash: sha256(bytes) };
      return {
        type: 'file',
        path,
        size: bytes.length,
        oid: gitSha1(lfs ? new TextEncoder().encode(`pointer ${path}`) : bytes),
        ...lfs,
        ...xet,
      };
    });
    const next = from + this.pageSize;
    const more =
      next < all.length ? { link: `<${this.url}${url.pathname}?recursive=true&cursor=${next}>; rel="next"` } : {};
    const page = [{ type: 'directory', path: 'some-folder', size: 0, oid: 'x' }, ...all.slice(from, next)];
    send(req, res, Buffer.from(JSON.stringify(page)), fault, { 'content-type': 'application/json', ...more });
  }

  #resolve(
    req: IncomingMessage,
    res: ServerResponse,
    name: string,
    repository: Repository,
    rest: string,
    asked: Asked,
    fault: Fault,
  ): void {
    const at = rest.indexOf('/');
    const path = rest.slice(at + 1);
    const commit = this.#commitOf(repository, rest.slice(0, at));
    if (commit === undefined) {
      refuse(res, 404, 'RevisionNotFound', 'Invalid rev id');
      return;
    }
    if (!(path in repository.files)) {
      refuse(res, 404, 'EntryNotFound', 'Entry not found');
      return;
    }
    if (repository.gatedTo !== undefined && asked.token !== repository.gatedTo) {
      refuse(res, asked.token ? 403 : 401, 'GatedRepo', `Access to model ${name} is restricted.`);
      return;
    }
    const bytes = bytesOf(repository, path);
    const facts = { 'x-repo-commit': commit, etag: `"${etagOf(repository, path)}"` };
    if (!isLfs(repository, path)) {
      send(req, res, bytes, fault, facts);
      return;
    }
    const linked = {
      'x-repo-commit': commit,
      'x-linked-size': String(bytes.length),
      'x-linked-etag': `"${etagOf(repository, path)}"`,
      etag: `"pointer"`,
    };
    if (repository.xet && req.headers.accept?.includes('xet-fileinfo')) {
      const link = `<${this.url}/${name}/xet-token/read>; rel="xet-auth", <${this.url}/${name}/reconstruction/${path}>; rel="xet-reconstruction-info"`;
      res
        .writeHead(200, {
          ...linked,
          'content-type': 'application/vnd.xet-fileinfo+json',
          'x-xet-hash': sha256(bytes),
          link,
        })
        .end('{}');
      return;
    }
    res
      .writeHead(302, { ...linked, location: `${urlOf(this.#cdn)}/${name}/blob/${path}?X-Amz-Signature=secret` })
      .end();
  }

  #reconstruction(req: IncomingMessage, res: ServerResponse, name: string, repository: Repository, path: string): void {
    const bytes = bytesOf(repository, path);
    const from = Number(/bytes=(\d+)/.exec(req.headers.range ?? '')?.[1] ?? 0);
    const first = Math.floor(from / CHUNK);
    const range = { start: first, end: Math.ceil(bytes.length / CHUNK) };
    const ranges = [{ chunks: range, bytes: { start: first * (CHUNK + 8), end: xorb(bytes).length - 1 } }];
    json(res, {
      offset_into_first_range: from % CHUNK,
      terms: [{ hash: 'x', unpacked_length: bytes.length - first * CHUNK, range }],
      xorbs: { x: [{ url: `${urlOf(this.#cdn)}/${name}/xorb/${path}`, ranges }] },
    });
  }
}

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function bytesOf({ files }: Repository, path: string): Uint8Array {
  const found = files[path] ?? '';
  return typeof found === 'string' ? new TextEncoder().encode(found) : found;
}

const isLfs = ({ lfs = /\.(safetensors|bin)$/ }: Repository, path: string): boolean => lfs.test(path);
export const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');
export const gitSha1 = (bytes: Uint8Array): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

function etagOf(repository: Repository, path: string): string {
  const bytes = bytesOf(repository, path);
  return isLfs(repository, path) ? sha256(bytes) : gitSha1(bytes);
}

/** Chunks of XET storage, uncompressed: version 0, length, scheme 0, length, bytes. */
function xorb(bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK) {
    const chunk = bytes.subarray(at, at + CHUNK);
    parts.push(Uint8Array.of(0, chunk.length, 0, 0, 0, chunk.length, 0, 0), chunk);
  }
  return Buffer.concat(parts);
}

function json(res: ServerResponse, value: unknown): void {
  res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function refuse(res: ServerResponse, status: number, code: string, message: string): void {
  res.writeHead(status, { 'x-error-code': code, 'x-error-message': message }).end();
}

function send(
  req: IncomingMessage,
  res: ServerResponse,
  whole: Uint8Array,
  fault: Fault,
  facts: Record<string, string> = {},
): void {
  const bytes = fault.instead ?? whole;
  const range = fault.ignoreRange ? null : /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? '');
  const start = Number(range?.[1] ?? 0);
  const end = Math.min(bytes.length, range?.[2] ? Number(range[2]) + 1 : bytes.length);
  if (start >= bytes.length && bytes.length > 0) {
    res.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
    return;
  }
  const body = Buffer.from(bytes.slice(start, end));
  if (fault.corrupt && body.length > 0) body[body.length >> 1]! ^= 1;
  res.writeHead(range ? 206 : 200, {
    ...facts,
    ...fault.headers,
    'content-length': body.length,
    ...(range && { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` }),
  });
  if (req.method === 'HEAD') res.end();
  else if (fault.cutAfter !== undefined)
    res.write(body.subarray(0, fault.cutAfter), () => setTimeout(() => res.destroy(), 20));
  else if (fault.silentAfter !== undefined) res.write(body.subarray(0, fault.silentAfter));
  else res.end(body);
}
