// readChatTemplates(folder, config): a folder's chat templates by name. Files win over tokenizer_config.json:
//   chat_template.jinja, chat_template.json   'default'
//   additional_chat_templates/NAME.jinja      NAME
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Json, readJsonIfPresent } from '../config/read-json.ts';
import type { ChatTemplates } from './chat-template.ts';

const MORE = 'additional_chat_templates';

export async function readChatTemplates(folder: string, config: Json): Promise<ChatTemplates> {
  const fromJson = await readJsonIfPresent(folder, 'chat_template.json');
  const templates = { ...named(config['chat_template']), ...named(fromJson?.['chat_template']) };
  for (const file of await readdir(join(folder, MORE)).catch(() => [] as string[])) {
    if (file.endsWith('.jinja'))
      templates[file.slice(0, -'.jinja'.length)] = await readFile(join(folder, MORE, file), 'utf8');
  }
  const own = await readFile(join(folder, 'chat_template.jinja'), 'utf8').catch(() => undefined);
  return own === undefined ? templates : { ...templates, default: own };
}

/** One template, or a list of { name, template }. */
function named(value: unknown): Record<string, string> {
  if (typeof value === 'string') return { default: value };
  if (!Array.isArray(value)) return {};
  return Object.fromEntries((value as { name: string; template: string }[]).map((t) => [t.name, t.template]));
}
