// AutoTokenizer.fromPretrained(folder): tokenizer.json, tokenizer_config.json and the chat templates of a model folder.
import { join } from 'node:path';
import { AoError } from '@ao/core';
import { readJson, readJsonIfPresent } from '../config/read-json.ts';
import { readChatTemplates } from './read-chat-templates.ts';
import { Tokenizer } from './tokenizer.ts';

export const AutoTokenizer = {
  async fromPretrained(folder: string): Promise<Tokenizer> {
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
