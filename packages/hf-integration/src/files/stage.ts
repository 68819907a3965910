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
  const final = resolve(output);
  if (existsSync(join(final, CONFIG)) && !options.overwrite) {
    throw new AoError('ERR_AO_CONFIG', `${output} holds a model already`, {
      fix: 'give another folder, or allow overwriting',
    });
  }
  const folder = join(dirname(final), `.${basename(final)}.${process.pid}.${++stages}.tmp`);
  await mkdir(folder, { recursive: true });
  const commit = async (): Promise<void> => {
    if (!existsSync(final)) {
      await rename(folder, final);
      return;
    }
    await rm(join(final, CONFIG), { force: true });
    for (const name of await readdir(final)) if (WEIGHTS.test(name)) await rm(join(final, name), { force: true });
    const entries = (await readdir(folder, { withFileTypes: true })).filter(({ name }) => name !== CONFIG);
    for (const entry of entries) {
      // a folder takes no other's place
      if (entry.isDirectory()) await rm(join(final, entry.name), { recursive: true, force: true });
      await rename(join(folder, entry.name), join(final, entry.name));
    }
    await rename(join(folder, CONFIG), join(final, CONFIG));
    await rmdir(folder);
  };
  return { folder, commit, abort: () => rm(folder, { recursive: true, force: true }) };
}
