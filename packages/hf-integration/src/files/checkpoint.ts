// openCheckpoint(folder): the tensors of a model folder, in one file (model.safetensors) or several with an
// index; where there are none, in those of torch.save.
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AoError, openSafetensors, openSafetensorsIndex, type TensorFile } from '@ao/core';
import { readForeign } from '../foreign/read-foreign.ts';
import { ggufOf, openGgufTensors } from '../gguf/gguf-folder.ts';
import type { Outline } from '../models/family.ts';
import type { TorchFile } from '../pickle/torch-file.ts';
import { type FileSource, openFile } from './node-file.ts';
import { openPyTorch } from './pytorch.ts';
import { renamed } from './renamed.ts';
import { unstacked } from './unstacked.ts';

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

export interface Checkpoint {
  readonly tensors: TensorFile;
  /** What of another library's checkpoint could not be kept as it is: one line for each reason. */
  readonly notes: readonly string[];
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Where weights are read from: the folder itself, unless they lie elsewhere. */
export interface WeightFiles {
  has(file: string): boolean;
  open(file: string): Promise<FileSource>;
}

/** With an outline, tensors have the names of its parameters. */
export async function openCheckpoint(
  folder: string,
  outline?: Outline,
  files: WeightFiles = filesIn(folder),
): Promise<Checkpoint> {
  const sources: FileSource[] = [];
  const opened = async (opening: Promise<FileSource>): Promise<FileSource> => {
    const source = await opening;
    sources.push(source);
    return source;
  };
  const source = (file: string): Promise<FileSource> => opened(files.open(file));
  const close = async (): Promise<void> => {
    for (const source of sources.splice(0)) await source.close();
  };
  const open = async (): Promise<TorchFile> => {
    const gguf = await ggufOf(folder);
    if (gguf) return { file: await openGgufTensors(await opened(openFile(gguf))), notes: [] };
    // transformers takes the single file where both are there
    if (files.has(SINGLE)) return { file: await openSafetensors(await source(SINGLE)), notes: [] };
    const index = join(folder, INDEX);
    if (!existsSync(index)) return (await openPyTorch(folder, files, source)) ?? nothing(folder);
    return { file: await openSafetensorsIndex(await readFile(index, 'utf8'), source, INDEX), notes: [] };
  };
  try {
    const found = await open();
    const { file, notes } = await readForeign(folder, found.file);
    const named = outline ? unstacked(renamed(file, outline), outline) : file;
    return { tensors: named, notes: [...found.notes, ...notes], close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

function filesIn(folder: string): WeightFiles {
  return {
    has: (file) => existsSync(join(folder, file)),
    open: (file) => openFile(join(folder, file)),
  };
}

async function nothing(folder: string): Promise<never> {
  const names = await readdir(folder).catch(() => []);
  const other = names.filter(
    (name) => /\.(bin|pt|pth|gguf|onnx|h5|msgpack)$/.test(name) && name !== 'training_args.bin',
  );
  throw new AoError('ERR_AO_FORMAT', `${folder} has neither ${SINGLE} nor ${INDEX}`, {
    fix:
      other.length > 0
        ? `it has ${other.slice(0, 3).join(', ')}: convert it to safetensors once, e.g. with save_pretrained`
        : 'give a model folder in Hugging Face’s layout',
  });
}
