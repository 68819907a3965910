// AutoTokenizer.fromPretrained(name): tokenizer.json, tokenizer_config.json and chat_template.jinja of a model folder or hub id.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AoError } from '@ao/core';
import { readJson, readJsonIfPresent } from '../config/read-json.ts';
import type { HubOptions } from '../hub/options.ts';
import { resolveModel } from '../hub/resolve-model.ts';
import { Tokenizer } from './tokenizer.ts';

export const AutoTokenizer = {
  async fromPretrained(name: string, options: HubOptions = {}): Promise<Tokenizer> {
    const folder = await resolveModel(name, 'tokenizer', options);
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
