// The small files beside the weights: config.json with what changed, and those that are copied as they are.
import { copyFile, cp, mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Float, pythonJson } from '@ao/quantization';
import { writeText } from './node-file.ts';

type Tree = Parameters<typeof pythonJson>[0];
/** Fields of config.json; undefined takes one out. */
export type ConfigChanges = Readonly<Record<string, Tree | undefined>>;

const COPIED =
  /^(generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|preprocessor_config|chat_template|modules|sentence_bert_config|config_sentence_transformers)\.json$|^(merges\.txt|vocab\.txt|tokenizer\.model|chat_template\.jinja|LICENSE.*|NOTICE.*)$/;

/** Writes `from`'s config.json to `to` with some fields changed, as transformers prints it. */
export async function writeConfig(from: string, to: string, changes: ConfigChanges): Promise<void> {
  const text = await readFile(join(from, 'config.json'), 'utf8');
  // a reviver sees how a number was written (from Node 22 on): 10000.0 stays a float
  const keep = (_key: string, value: unknown, context?: { readonly source?: string }): unknown =>
    typeof value === 'number' && /[.eE]/.test(context?.source ?? '') ? new Float(value) : value;
  const config = JSON.parse(text, keep as (key: string, value: unknown) => unknown) as Record<string, Tree>;
  const merged: Record<string, Tree> = {};
  for (const [key, value] of Object.entries({ ...config, ...changes })) if (value !== undefined) merged[key] = value;
  await writeText(join(to, 'config.json'), `${pythonJson(merged, { indent: 2, sortKeys: true })}\n`);
}

/** Folders of sentence-transformers' modules: 1_Pooling. */
const MODULE = /^\d+_\w+$/;
const TEMPLATES = 'additional_chat_templates';

/** Copies tokenizer, chat templates, generation and embedding settings, and licences; each file appears whole. */
export async function copyModelFiles(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (!entry.isDirectory() && COPIED.test(entry.name)) await copyWhole(from, to, entry.name);
    if (entry.name === TEMPLATES) await cp(join(from, TEMPLATES), join(to, TEMPLATES), { recursive: true });
    if (!entry.isDirectory() || !MODULE.test(entry.name)) continue;
    const own = join(from, entry.name);
    if (!(await readdir(own)).includes('config.json')) continue;
    await mkdir(join(to, entry.name), { recursive: true });
    await copyWhole(own, join(to, entry.name), 'config.json');
  }
}

async function copyWhole(from: string, to: string, name: string): Promise<void> {
  const temporary = join(to, `.${name}.${process.pid}.tmp`);
  await copyFile(join(from, name), temporary);
  await rename(temporary, join(to, name));
}
