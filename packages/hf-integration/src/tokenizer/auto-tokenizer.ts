// AutoTokenizer.fromPretrained(name): tokenizer.json, tokenizer_config.json and the chat templates of a model folder or hub id.
import { join } from 'node:path';
import { AoError } from '@ao/core';
import { readJson, readJsonIfPresent } from '../config/read-json.ts';
import type { HubOptions } from '../hub/options.ts';
import { resolveModel } from '../hub/resolve-model.ts';
import { readChatTemplates } from './read-chat-templates.ts';
import { Tokenizer } from './tokenizer.ts';

export const AutoTokenizer = {
  async fromPretrained(name: string, options: HubOptions = {}): Promise<Tokenizer> {
    const folder = await resolveModel(name, 'tokenizer', options);
    const purpose = 'text cannot be encoded without it (slow tokenizers must be converted with save_pretrained once)';
    const tokenizer = await readJson(folder, 'tokenizer.json', purpose);
    const config = (await readJsonIfPresent(folder, 'tokenizer_config.json')) ?? {};
    const templates = await readChatTemplates(folder, config);
    try {
      return new Tokenizer(tokenizer, config, templates);
    } catch (error) {
      throw new AoError('ERR_AO_FORMAT', `${join(folder, 'tokenizer.json')}: ${(error as Error).message}`, {});
    }
  },
};
