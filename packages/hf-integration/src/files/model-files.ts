// The small files beside the weights: config.json with what changed, and those that are copied as they are.
import { copyFile, cp, mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Float, pythonJson } from '@ao/quantization';
import { writeText } from './node-file.ts';

type Tree = Parameters<typeof pythonJson>[0];

const COPIED =
  /^(generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|preprocessor_config|chat_template)\.json$|^(merges\.txt|tokenizer\.model|chat_template\.jinja|LICENSE.*|NOTICE.*)$/;

/** Writes `from`'s config.json to `to` with some fields changed, as transformers prints it. */
export async function writeConfig(from: string, to: string, changes: Readonly<Record<string, Tree>>): Promise<void> {
  const text = await readFile(join(from, 'config.json'), 'utf8');
  // a reviver sees how a number was written (from Node 22 on): 10000.0 stays a float
  const keep = (_key: string, value: unknown, context?: { readonly source?: string }): unknown =>
    typeof value === 'number' && /[.eE]/.test(context?.source ?? '') ? new Float(value) : value;
  const config = JSON.parse(text, keep as (key: string, value: unknown) => unknown) as Record<string, Tree>;
  const merged = Object.fromEntries(
    Object.entries({ ...config, ...changes }).filter(([, value]) => value !== undefined),
  );
  await writeText(join(to, 'config.json'), `${pythonJson(merged, { indent: 2, sortKeys: true })}\n`);
}

const COPIED_FOLDERS = ['additional_chat_templates'];

/** Copies tokenizer, chat templates, generation settings and licences; each file appears whole. */
export async function copyModelFiles(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const name of await readdir(from)) {
    if (COPIED_FOLDERS.includes(name)) await cp(join(from, name), join(to, name), { recursive: true });
    if (!COPIED.test(name)) continue;
    const temporary = join(to, `.${name}.${process.pid}.tmp`);
    await copyFile(join(from, name), temporary);
    await rename(temporary, join(to, name));
  }
}
