// readJson(folder, name): one JSON object of a model folder, or an error that names the file and what it is for.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AoError } from '@ao/core';

export type Json = { readonly [key: string]: unknown };

export async function readJson(folder: string, name: string, purpose: string): Promise<Json> {
  const found = await readJsonIfPresent(folder, name);
  if (found) return found;
  throw new AoError('ERR_AO_FORMAT', `${join(folder, name)} does not exist: ${purpose}`, {
    fix: `give a folder in Hugging Face's layout that has ${name}`,
  });
}

export async function readJsonIfPresent(folder: string, name: string): Promise<Json | undefined> {
  const value = await readIfPresent(folder, name);
  if (value === undefined) return undefined;
  if (!isObject(value)) throw new AoError('ERR_AO_FORMAT', `${join(folder, name)} is not a JSON object`, {});
  return value;
}

/** A file that holds a list of objects. */
export async function readListIfPresent(folder: string, name: string): Promise<readonly Json[] | undefined> {
  const value = await readIfPresent(folder, name);
  if (value === undefined) return undefined;
  if (Array.isArray(value) && value.every(isObject)) return value;
  throw new AoError('ERR_AO_FORMAT', `${join(folder, name)} is not a list of JSON objects`, {});
}

const isObject = (value: unknown): value is Json =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

async function readIfPresent(folder: string, name: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(join(folder, name), 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new AoError('ERR_AO_FORMAT', `${join(folder, name)} cannot be read: ${(error as Error).message}`, {});
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AoError('ERR_AO_FORMAT', `${join(folder, name)} is not JSON: ${(error as Error).message}`, {});
  }
}
