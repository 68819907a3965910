// openCheckpoint(folder): the tensors of a model folder, in one file (model.safetensors) or several with an index.
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AoError, openSafetensors, openSafetensorsIndex, type TensorFile } from '@ao/core';
import type { Outline } from '../models/family.ts';
import { type FileSource, openFile } from './node-file.ts';
import { unstacked } from './unstacked.ts';

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

export interface Checkpoint {
  readonly tensors: TensorFile;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** With an outline, tensors have the names of its parameters where the checkpoint holds several in one. */
export async function openCheckpoint(folder: string, outline?: Outline): Promise<Checkpoint> {
  const sources: FileSource[] = [];
  const source = async (file: string): Promise<FileSource> => {
    const opened = await openFile(join(folder, file));
    sources.push(opened);
    return opened;
  };
  const close = async (): Promise<void> => {
    for (const opened of sources.splice(0)) await opened.close();
  };
  try {
    const index = join(folder, INDEX);
    // transformers takes the single file where both are there
    const tensors = existsSync(join(folder, SINGLE))
      ? await openSafetensors(await source(SINGLE))
      : existsSync(index)
        ? await openSafetensorsIndex(await readFile(index, 'utf8'), source, INDEX)
        : await nothing(folder);
    return { tensors: outline ? unstacked(tensors, outline) : tensors, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function nothing(folder: string): Promise<never> {
  const names = await readdir(folder).catch(() => []);
  const other = names.filter((name) => /\.(bin|pt|pth|gguf|onnx|h5|msgpack)$/.test(name));
  throw new AoError('ERR_AO_FORMAT', `${folder} has neither ${SINGLE} nor ${INDEX}`, {
    fix:
      other.length > 0
        ? `it has ${other.slice(0, 3).join(', ')}: convert it to safetensors once, e.g. with save_pretrained`
        : 'give a model folder in Hugging Face’s layout',
  });
}
