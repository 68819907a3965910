// AutoTokenizer.fromPretrained(folder): tokenizer.json, tokenizer_config.json and chat_template.jinja of a model folder.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AoError } from '@ao/core';
import { readJson, readJsonIfPresent } from '../config/read-json.ts';
import { Tokenizer } from './tokenizer.ts';

export const AutoTokenizer = {
  async fromPretrained(folder: string): Promise<Tokenizer> {
    const purpose = 'text cannot be encoded without it (slow tokenizers must be converted with save_pretrained once)';
    const tokenizer = await readJson(folder, 'tokenizer.json', purpose);
    const config = (await readJsonIfPresent(folder, 'tokenizer_config.json')) ?? {};
    const template = await readFile(join(folder, 'chat_template.jinja'), 'utf8').catch(() => undefined);
    try {
      return new Tokenizer(tokenizer, config, template);
    } catch (error) {
      throw new AoError('ERR_AO_FORMAT', `${join(folder, 'tokenizer.json')}: ${(error as Error).message}`, {});
    }
  },
};
