// modelFolder(name): a folder as it is, or the bundled model by its name.
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from './exit.ts';

const BUNDLED: Readonly<Record<string, string>> = { 'stories-7m': '@ao/stories-7m/config.json' };

export function modelFolder(name: string): string {
  const folder = resolve(name);
  if (existsSync(folder)) return folder;
  const bundled = BUNDLED[name];
  if (bundled !== undefined) return dirname(fileURLToPath(import.meta.resolve(bundled)));
  throw new UsageError(
    `${name} is no folder. Give a model folder in Hugging Face’s layout, or ${Object.keys(BUNDLED).join(', ')}.`,
  );
}
