// transfer(): the bytes of one file from an offset on, and where the answer really begins: a server that ignores Range sends
// all of it. Files in XET storage come through @huggingface/hub's reader of it where asked for, others by HTTP.
import { bytesOf } from './body.ts';
import type { Hub } from './hub.ts';
import type { HubFile } from './listing.ts';
import { request } from './request.ts';

export interface Transfer {
  /** Offset of its first byte. */
  readonly from: number;
  readonly bytes: AsyncIterable<Uint8Array>;
}

const NOT_THAT_RANGE = 416;

export async function transfer(hub: Hub, commit: string, file: HubFile, from: number, xet: boolean): Promise<Transfer> {
  if (xet && file.xet !== undefined && hub.xet) {
    const stream = await xetStream(hub, commit, file, from);
    if (stream) return { from, bytes: bytesOf(hub, { body: stream }) };
  }
  const response = await request(hub, fileUrl(hub, commit, file), {
    path: file.path,
    // compressed bytes would have other offsets
    headers: { 'accept-encoding': 'identity', ...(from > 0 && { range: `bytes=${from}-` }) },
    accept: [NOT_THAT_RANGE],
  });
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
  const start = response.status === 206 ? Number(range?.[1] ?? Number.NaN) : 0;
  if (response.status !== 200 && (response.status !== 206 || start !== from)) {
    await response.body?.cancel();
    // the next attempt begins anew
    return { from: 0, bytes: nothing() };
  }
  return { from: start, bytes: bytesOf(hub, response) };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

export function fileUrl({ endpoint, repo }: Hub, commit: string, { path }: HubFile): string {
  return `${endpoint}/${repo}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`;
}

/** undefined where the hub does not offer it. */
async function xetStream(hub: Hub, commit: string, file: HubFile, from: number): Promise<ReadableStream | undefined> {
  const { downloadFile, fileDownloadInfo } = await import('@huggingface/hub');
  const place = {
    repo: { type: 'model', name: hub.repo } as const,
    path: file.path,
    revision: commit,
    hubUrl: hub.endpoint,
  };
  const read: typeof fetch = (input, init) =>
    // the reader understands answers of the storage itself: an address that has run out gives 403
    request(hub, String(input), {
      path: file.path,
      headers: Object.fromEntries(new Headers(init?.headers)),
      accept: [403],
    });
  const downloadInfo = await fileDownloadInfo({ ...place, fetch: read });
  if (!downloadInfo?.xet) return undefined;
  const blob = await downloadFile({ ...place, downloadInfo, fetch: read });
  return blob?.slice(from).stream();
}
