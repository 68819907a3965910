// MODEL of the command line: a folder, the bundled model by its name, or a hub id with or without @revision.
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isRepoId, type OnProgress, snapshotDownload } from '@ao/hf-integration';
import { interruptSignal, UsageError } from './exit.ts';
import { log } from './log.ts';

const BUNDLED: Readonly<Record<string, string>> = { 'stories-7m': '@ao/stories-7m/config.json' };

export interface ModelName {
  /** A folder or a hub id. */
  readonly name: string;
  readonly revision?: string;
}

/** Asks nobody yet. */
export function modelName(text: string): ModelName {
  if (existsSync(text)) return { name: resolve(text) };
  const bundled = BUNDLED[text];
  if (bundled !== undefined) return { name: dirname(fileURLToPath(import.meta.resolve(bundled))) };
  const at = text.indexOf('@', 1);
  const [name, revision] = at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
  if (isRepoId(name) && revision !== '') return revision === undefined ? { name } : { name, revision };
  throw new UsageError(
    `${text} is no folder, nor can it be a hub id. Give a model folder in Hugging Face’s layout, a hub id as in ` +
      `HuggingFaceTB/SmolLM2-135M-Instruct or org/name@revision, or ${Object.keys(BUNDLED).join(', ')}.`,
  );
}

/** The model's folder; of a hub id its snapshot, downloaded first where the cache lacks it. */
export async function modelFolder(text: string, onProgress?: OnProgress): Promise<string> {
  const { name, ...revision } = modelName(text);
  return snapshotDownload(name, { ...revision, onProgress, signal: interruptSignal(), log });
}
