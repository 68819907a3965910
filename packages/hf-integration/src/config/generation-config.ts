// readGenerationConfig(folder, model): the ids that begin and end a text and the author's sampling defaults.
// generation_config.json wins over config.json; both may be silent.
import { join } from 'node:path';
import { Fields } from './fields.ts';
import type { ModelConfig } from './model-config.ts';
import { readJsonIfPresent } from './read-json.ts';

export interface GenerationConfig {
  readonly bosTokenId: number | undefined;
  readonly eosTokenIds: readonly number[];
  readonly padTokenId: number | undefined;
  readonly doSample: boolean;
  readonly temperature: number;
  readonly topK: number | undefined;
  readonly topP: number | undefined;
  readonly minP?: number | undefined;
  readonly repetitionPenalty?: number | undefined;
  readonly noRepeatNgramSize?: number | undefined;
  readonly minNewTokens?: number | undefined;
}

export async function readGenerationConfig(folder: string, model: ModelConfig): Promise<GenerationConfig> {
  const json = await readJsonIfPresent(folder, 'generation_config.json');
  const own = new Fields(json ?? {}, join(folder, 'generation_config.json'));
  const base = new Fields(model.json, model.where);
  const ids = (name: string): readonly number[] => (own.has(name) ? own : base).ids(name);
  return {
    bosTokenId: ids('bos_token_id')[0],
    eosTokenIds: ids('eos_token_id'),
    padTokenId: ids('pad_token_id')[0],
    doSample: own.flag('do_sample', false),
    temperature: own.has('temperature') && own.json['temperature'] !== 0 ? own.positive('temperature') : 1,
    topK: own.has('top_k') ? own.count('top_k', undefined, 0) || undefined : undefined,
    topP: own.has('top_p') ? own.positive('top_p') : undefined,
    minP: own.json['min_p'] ? own.positive('min_p') : undefined,
    repetitionPenalty: own.has('repetition_penalty') ? own.positive('repetition_penalty') : undefined,
    noRepeatNgramSize: own.has('no_repeat_ngram_size') ? own.count('no_repeat_ngram_size', undefined, 0) : undefined,
    minNewTokens: own.has('min_new_tokens') ? own.count('min_new_tokens', undefined, 0) : undefined,
  };
}
