// The folder of the bundled model and the numbers that torch gave for it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const STORIES = fileURLToPath(new URL('../../../apps/stories-7m/', import.meta.url));

export interface StoriesReference {
  readonly tokens: number;
  readonly cross_entropy: Readonly<Record<string, number>>;
  readonly greedy: {
    readonly prompt: readonly number[];
    readonly tokens: readonly number[];
    readonly top20_ids: readonly number[];
    readonly top20_logits: readonly number[];
  };
}

export function storiesReference(): StoriesReference {
  return JSON.parse(readFileSync(`${STORIES}reference.json`, 'utf8')) as StoriesReference;
}

export function storiesText(): string {
  return readFileSync(`${STORIES}validation.txt`, 'utf8');
}
