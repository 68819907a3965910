// resolveModel(name): the folder that a name means: one that exists, as it is; else a hub id, as its snapshot in the cache.
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { AoError } from '@ao/core';
import { ggufFolder } from '../gguf/gguf-folder.ts';
import { type Hub, openHub } from './hub.ts';
import type { Purpose } from './needed-files.ts';
import type { HubOptions } from './options.ts';
import { isInside, isRepoId } from './repo-id.ts';
import { fetchSnapshot, type Snapshot, type Wanted } from './snapshot.ts';

export interface SnapshotOptions extends HubOptions {
  /** Patterns of the paths to have; default: what the loaders read, never a second form of the same weights. */
  readonly allowPatterns?: readonly string[];
  readonly ignorePatterns?: readonly string[];
}

export interface Resolved {
  readonly folder: string;
  /** Where the folder is a snapshot of a repository. */
  readonly remote?: { readonly hub: Hub; readonly snapshot: Snapshot; readonly subfolder: string };
}

/** Downloads a model, or what the patterns say of it, and gives its folder; a folder that exists is given as it is. */
export async function snapshotDownload(name: string, options: SnapshotOptions = {}): Promise<string> {
  const { allowPatterns: allow, ignorePatterns: ignore } = options;
  return (await locate(name, options, { purpose: 'model', allow, ignore })).folder;
}

export async function resolveModel(name: string, purpose: Purpose, options: HubOptions): Promise<string> {
  return (await locate(name, options, { purpose })).folder;
}

export async function locate(name: string, options: HubOptions, wanted: Omit<Wanted, 'subfolder'>): Promise<Resolved> {
  const subfolder = (options.subfolder ?? '').replace(/^\/+|\/+$/g, '');
  if (subfolder !== '' && !isInside(subfolder)) {
    throw new AoError('ERR_AO_CONFIG', `subfolder '${options.subfolder}' leads out of the model`, {
      fix: 'give a relative path',
    });
  }
  const found = await stat(name).catch(() => undefined);
  if (found) {
    if (found.isDirectory()) return { folder: join(name, subfolder) };
    if (/\.gguf$/i.test(name)) return { folder: await ggufFolder(name) };
    throw new AoError('ERR_AO_CONFIG', `${name} is a file`, { fix: 'give the folder that it is in, or a .gguf file' });
  }
  if (!isRepoId(name)) {
    throw new AoError(
      'ERR_AO_CONFIG',
      `'${name}' is no folder (${resolve(name)} does not exist), nor can it be a hub id`,
      {
        fix: 'give a model folder in Hugging Face’s layout, or a hub id such as HuggingFaceTB/SmolLM2-135M-Instruct',
      },
    );
  }
  const hub = openHub(name, options);
  hub.signal?.throwIfAborted();
  const snapshot = await fetchSnapshot(hub, { ...wanted, subfolder });
  return { folder: join(snapshot.folder, subfolder), remote: { hub, snapshot, subfolder } };
}
