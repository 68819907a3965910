// stage(output): a folder to write a model into, which becomes `output` at once when it is complete. Where `output` exists,
// its config.json goes first and comes last, so at no time does a mixture look like a model.
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { AoError } from '@ao/core';

const WEIGHTS = /^model.*\.safetensors(\.index\.json)?$/;
const CONFIG = 'config.json';

export interface Stage {
  readonly folder: string;
  commit(): Promise<void>;
  /** Leaves nothing behind. */
  abort(): Promise<void>;
}

export interface StageOptions {
  /** Replace the model that `output` holds; otherwise that is an error. */
  readonly overwrite?: boolean;
}

let stages = 0;

export async function stage(output: string, options: StageOptions = {}): Promise<Stage> {
  checkFree(output, options);
  const final = resolve(output);
  const folder = join(dirname(final), `.${basename(final)}.${process.pid}.${++stages}.tmp`);
  await mkdir(folder, { recursive: true });
  return {
    folder,
    commit: () => commitFolder(folder, final),
    abort: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Throws ERR_AO_CONFIG where `output` holds a model that must not be replaced. */
export function checkFree(output: string, { overwrite = false }: StageOptions): void {
  if (overwrite || !existsSync(join(resolve(output), CONFIG))) return;
  throw new AoError('ERR_AO_CONFIG', `${output} holds a model already`, {
    fix: 'give another folder, or allow overwriting',
  });
}

/**
 * Moves all of `folder` to `final`; called again after it was cut short, it does the rest. `names`: what the folder held at
 * first.
 */
export async function commitFolder(folder: string, final: string, names?: readonly string[]): Promise<void> {
  if (!existsSync(folder)) return;
  if (!existsSync(final)) {
    await rename(folder, final);
    return;
  }
  const entries = await readdir(folder, { withFileTypes: true });
  if (entries.some((e) => e.name === CONFIG)) {
    await rm(join(final, CONFIG), { force: true });
    const ours = new Set(names ?? entries.map((e) => e.name));
    const old = (await readdir(final)).filter((name) => WEIGHTS.test(name) && !ours.has(name));
    for (const name of old) await rm(join(final, name), { force: true });
    for (const entry of entries) {
      if (entry.name === CONFIG) continue;
      // a folder takes no other's place
      if (entry.isDirectory()) await rm(join(final, entry.name), { recursive: true, force: true });
      await rename(join(folder, entry.name), join(final, entry.name));
    }
    await rename(join(folder, CONFIG), join(final, CONFIG));
  }
  await rmdir(folder);
}
