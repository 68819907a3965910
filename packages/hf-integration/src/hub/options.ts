// HubOptions: what every call takes that accepts a hub id, under the names of transformers.
import type { Log } from '@ao/core';
import type { OnProgress } from '../progress.ts';

export interface HubOptions {
  /** Branch, tag or commit; default 'main'. */
  readonly revision?: string;
  /** Folder inside the repository, or inside the folder, that holds the model. */
  readonly subfolder?: string;
  /** Instead of HF_TOKEN and the token file; false = none. */
  readonly token?: string | false;
  /** Instead of HF_HUB_CACHE and HF_HOME/hub. */
  readonly cacheDir?: string;
  /** As HF_HUB_OFFLINE=1 does: only what the cache holds, no request. */
  readonly localFilesOnly?: boolean;
  /** How often a request without an answer, or a download without progress, is tried again; default 5. */
  readonly retries?: number;
  /** Milliseconds before the first retry, doubled for each further one; default 500. */
  readonly retryDelay?: number;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told where the cache serves because the hub does not answer. */
  readonly log?: Log | undefined;
}
