// openPyTorch(folder): the tensors of a folder in files of torch.save: pytorch_model.bin, several with an index, or a single .bin, .pt
// or .pth file of another name; undefined where there is none.
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ByteSource, parseSafetensorsIndex, type TensorFile } from '@ao/core';
import { openTorchFile, type TorchFile } from '../pickle/torch-file.ts';
import type { WeightFiles } from './checkpoint.ts';
import { merged } from './merged.ts';

const SINGLE = 'pytorch_model.bin';
const INDEX = 'pytorch_model.bin.index.json';

export async function openPyTorch(
  folder: string,
  files: WeightFiles,
  open: (file: string) => Promise<ByteSource>,
): Promise<TorchFile | undefined> {
  if (files.has(SINGLE)) return openTorchFile(await open(SINGLE));
  if (existsSync(join(folder, INDEX))) {
    const index = parseSafetensorsIndex(await readFile(join(folder, INDEX), 'utf8'), INDEX);
    const opened = new Map<string, TensorFile>();
    const notes: string[] = [];
    for (const name of index.files) {
      const shard = await openTorchFile(await open(name));
      opened.set(name, shard.file);
      notes.push(...shard.notes);
    }
    return { file: merged(INDEX, opened, index.weightMap), notes };
  }
  const names = await readdir(folder).catch(() => []);
  const found = names.filter((name) => /\.(bin|pt|pth)$/.test(name) && name !== 'training_args.bin');
  return found.length === 1 && files.has(found[0]!) ? openTorchFile(await open(found[0]!)) : undefined;
}
