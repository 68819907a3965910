// A GGUF as a model folder: its config.json, tokenizer.json and tokenizer_config.json are written once beside the hub's cache,
// in a folder named after the file's path, size and time; the weights stay where they are and are read from there. Where the
// file's own tokens cannot be read, a tokenizer.json that lies beside it is taken.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type ByteSource, isAoError, type TensorFile } from '@ao/core';
import type { Json } from '../config/read-json.ts';
import { openFile, writeText } from '../files/node-file.ts';
import { hubSettings } from '../hub/settings.ts';
import { configFromGguf, type GgufModel } from './config-from-gguf.ts';
import { GgufFields } from './gguf-fields.ts';
import { ggufTensors } from './gguf-tensors.ts';
import { ggufNames } from './names.ts';
import { openGguf } from './open-gguf.ts';
import type { GgufHead } from './parse-gguf.ts';
import { readGguf } from './read-gguf.ts';
import { ROPE_TABLES } from './rope-from-gguf.ts';
import { tokenizerFromGguf } from './tokenizer-from-gguf.ts';

/** In the folder: where the weights are. */
export const LINK = 'gguf.json';
const FORM = 1;
const TOKENIZER = ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'];

/** The folder that stands for a GGUF. */
export async function ggufFolder(path: string): Promise<string> {
  const file = resolve(path);
  const { size, mtimeMs } = await stat(file);
  const beside = existsSync(join(dirname(file), 'tokenizer.json'));
  const key = createHash('sha256')
    .update(JSON.stringify([FORM, file, size, mtimeMs, beside]))
    .digest('hex');
  const folder = join(dirname(hubSettings().cache), 'ao-gguf', key.slice(0, 32));
  if (existsSync(join(folder, 'config.json'))) return folder;
  const source = await openFile(file);
  try {
    const head = await readGguf(source);
    const { config } = await modelOf(head, source);
    const making = `${folder}.${process.pid}.tmp`;
    await rm(making, { recursive: true, force: true });
    await mkdir(making, { recursive: true });
    await writeJson(join(making, 'config.json'), config);
    await writeJson(join(making, LINK), { file });
    await writeTokenizer(head, file, making, beside);
    // another process may have made the same meanwhile
    await rename(making, folder).catch(() => rm(making, { recursive: true, force: true }));
    return folder;
  } finally {
    await source.close();
  }
}

/** The GGUF that a folder stands for; undefined for other folders. */
export async function ggufOf(folder: string): Promise<string | undefined> {
  const text = await readFile(join(folder, LINK), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as { readonly file: string }).file;
}

/** Its tensors by Hugging Face's names, in torchao's form. */
export async function openGgufTensors(source: ByteSource): Promise<TensorFile> {
  const head = await readGguf(source);
  const { modelType, heads, config } = await modelOf(head, source);
  const parameters = ggufTensors(head, ggufNames(modelType, source.name), heads, source.name);
  return openGguf(source, parameters, String(config['dtype']));
}

async function modelOf(head: GgufHead, source: ByteSource): Promise<GgufModel> {
  const tables = new Map<string, readonly number[]>();
  for (const name of ROPE_TABLES) {
    const t = head.tensors.get(name);
    if (t?.type.name !== 'F32') continue;
    const bytes = await source.read(t.offset, t.nbytes);
    tables.set(name, [...new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)]);
  }
  return configFromGguf(head, tables, source.name);
}

const writeJson = (path: string, json: Json): Promise<void> => writeText(path, `${JSON.stringify(json, null, 2)}\n`);

async function writeTokenizer(head: GgufHead, file: string, folder: string, beside: boolean): Promise<void> {
  try {
    const made = tokenizerFromGguf(new GgufFields(head, basename(file)));
    if (made === undefined) return;
    await writeJson(join(folder, 'tokenizer.json'), made.tokenizer);
    await writeJson(join(folder, 'tokenizer_config.json'), made.config);
  } catch (error) {
    if (!beside || !isAoError(error)) throw error;
    const from = dirname(file);
    for (const name of TOKENIZER)
      if (existsSync(join(from, name))) await copyFile(join(from, name), join(folder, name));
  }
}
