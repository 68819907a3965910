// untie(family, config): a model whose head is tied to its embedding, with a head of its own: config.json then says so, the
// outline has one more tensor, and that is read from the embedding's.
import type { ModelConfig } from '../config/model-config.ts';
import type { ModelFamily, Outline } from './family.ts';

export interface Outlined {
  readonly config: ModelConfig;
  readonly outline: Outline;
  /** Names that a checkpoint has only under another: { 'lm_head.weight': 'model.embed_tokens.weight' }. */
  readonly sources: Readonly<Record<string, string>>;
}

export function asItIs(family: ModelFamily, config: ModelConfig): Outlined {
  return { config, outline: family.outline(config), sources: {} };
}

export function untie(family: ModelFamily, config: ModelConfig): Outlined {
  const { tied } = family.outline(config);
  const own: ModelConfig = { ...config, json: { ...config.json, tie_word_embeddings: false } };
  return { config: own, outline: family.outline(own), sources: tied };
}
