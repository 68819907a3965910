// request(): one HTTP request to the hub or where it redirects to. 408, 429 and 5xx, and connections that fail or fall
// silent, are tried again: after what Retry-After says, else after delay * 2^n and up to a quarter more. Other answers of 4xx
// are errors at once. The token goes to the hub's own origin alone; a redirect elsewhere drops it.
import { setTimeout as sleep } from 'node:timers/promises';
import { isAoError } from '@ao/core';
import type { Hub } from './hub.ts';
import { refusal, unreachable } from './refusal.ts';

const AGAIN = new Set([408, 429, 500, 502, 503, 504]);
/** Milliseconds; a server that wants a longer pause is an error now. */
const LONGEST = 60_000;

export interface RequestOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** The file it is about, for messages. */
  readonly path?: string;
  /** Answers that the caller understands although they are no success. */
  readonly accept?: readonly number[];
}

/** The hub did not answer, or only with errors of its own. */
export class NoAnswer extends Error {
  override readonly cause: Error;
  constructor(cause: Error) {
    super(cause.message);
    this.cause = cause;
  }
}

/** Throws NoAnswer (its cause is the AoError to show) where trying again did not help, an AoError where it would not. */
export async function request(hub: Hub, url: string, options: RequestOptions = {}): Promise<Response> {
  const { path, accept = [] } = options;
  for (let attempt = 0; ; attempt++) {
    let response: Response;
    const controller = new AbortController();
    const watching = watch(hub, (reason) => controller.abort(reason));
    try {
      response = await fetch(url, {
        headers: { 'user-agent': 'ao', ...authorization(hub, url), ...options.headers },
        signal: controller.signal,
      });
    } catch (error) {
      hub.signal?.throwIfAborted();
      if (attempt >= (isDown(error) ? Math.min(1, hub.retries) : hub.retries)) {
        throw new NoAnswer(unreachable(hub, path, error));
      }
      await pause(hub, attempt);
      continue;
    } finally {
      watching.stop();
    }
    if (response.ok || accept.includes(response.status)) return response;
    await response.body?.cancel();
    const error = refusal(hub, response.status, response.headers, path);
    if (!AGAIN.has(response.status)) throw error;
    const wanted = retryAfter(response.headers.get('retry-after'));
    if (attempt >= hub.retries || (wanted ?? 0) > LONGEST) throw new NoAnswer(error);
    await pause(hub, attempt, wanted);
  }
}

/** `work` asks and reads the answer; where it breaks off while it is read, all is tried again. */
export async function retrying<T>(hub: Hub, path: string | undefined, work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      hub.signal?.throwIfAborted();
      if (error instanceof NoAnswer || isAoError(error)) throw error;
      if (attempt >= hub.retries) throw new NoAnswer(unreachable(hub, path, error));
      await pause(hub, attempt);
    }
  }
}

/** Waits before attempt + 1; rejects with the signal's reason. */
export async function pause(hub: Hub, attempt: number, wanted?: number): Promise<void> {
  const delay = wanted ?? Math.min(LONGEST, hub.retryDelay * 2 ** attempt * (1 + Math.random() / 4));
  try {
    await sleep(delay, undefined, { signal: hub.signal });
  } catch (error) {
    hub.signal?.throwIfAborted();
    throw error;
  }
}

/** Calls `end` when the hub's signal aborts, or when nothing was heard for its timeout; both are off after `stop`. */
export function watch({ signal, timeout }: Hub, end: (reason: unknown) => void): { heard(): void; stop(): void } {
  const aborted = (): void => end(signal?.reason);
  const timer = setTimeout(() => end(new Error(`nothing came for ${timeout} ms`)), timeout);
  signal?.addEventListener('abort', aborted);
  if (signal?.aborted) aborted();
  return {
    heard: () => void timer.refresh(),
    stop: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
    },
  };
}

/** No network, no such host, nobody there: it will be so in a few seconds too, and the cache may serve. */
function isDown(error: unknown): boolean {
  const { code } = ((error as Error).cause ?? {}) as { readonly code?: string };
  return code !== undefined && DOWN.has(code);
}

const DOWN = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH']);

function authorization({ endpoint, token }: Hub, url: string): Record<string, string> {
  return token && new URL(url).origin === new URL(endpoint).origin ? { authorization: `Bearer ${token}` } : {};
}

function retryAfter(value: string | null): number | undefined {
  if (!value) return undefined;
  const seconds = Number(value);
  const ms = Number.isFinite(seconds) ? 1000 * seconds : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
