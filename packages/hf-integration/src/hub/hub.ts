// openHub(repo, options): one repository at one revision as its settings and options say, shared by all that is asked of it.
import type { Log } from '@ao/core';
import type { OnProgress } from '../progress.ts';
import type { HubOptions } from './options.ts';
import { checkedRevision } from './repo-id.ts';
import { type HubSettings, hubSettings } from './settings.ts';

export interface Hub extends HubSettings {
  /** 'org/name'. */
  readonly repo: string;
  /** As asked for: a branch, a tag or a commit. */
  readonly revision: string;
  readonly retries: number;
  readonly retryDelay: number;
  readonly onProgress: OnProgress | undefined;
  readonly signal: AbortSignal | undefined;
  readonly log: Log | undefined;
}

export function openHub(repo: string, options: HubOptions): Hub {
  const settings = hubSettings();
  const { revision = 'main', token, cacheDir, localFilesOnly, retries = 5, retryDelay = 500 } = options;
  const { onProgress, signal, log } = options;
  return {
    ...settings,
    repo,
    revision: checkedRevision(revision),
    cache: cacheDir ?? settings.cache,
    token: token === undefined ? settings.token : token || undefined,
    offline: settings.offline || localFilesOnly === true,
    retries,
    retryDelay,
    onProgress,
    signal,
    log,
  };
}
