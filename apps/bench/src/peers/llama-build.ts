// llama.cpp held to one of its builds. node-llama-cpp ships one libggml-cpu-NAME.so a processor family and loads the best that
// runs; a copy of its folder with that one alone leaves it no choice.

import { existsSync } from 'node:fs';
import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CACHE } from './where.ts';

const PACKAGE = `@node-llama-cpp/${process.platform}-${process.arch}`;

/** The environment that makes contenders/llama.ts use that build alone. */
export async function llamaBuild(name: string): Promise<Readonly<Record<string, string>>> {
  const from = join(CACHE, 'node', 'node_modules', PACKAGE);
  const to = join(CACHE, 'llama-builds', name);
  if (!existsSync(to)) {
    const library = `libggml-cpu-${name}.so`;
    const made = `${to}.new`;
    await mkdir(join(CACHE, 'llama-builds'), { recursive: true });
    await rm(made, { recursive: true, force: true });
    await cp(from, made, {
      recursive: true,
      filter: (file) => !basename(file).startsWith('libggml-cpu-') || basename(file) === library,
    });
    await rename(made, to);
  }
  return { AO_LLAMA_PACKAGE: PACKAGE, AO_LLAMA_FOLDER: to };
}
