// Which files of a repository a loader reads: config, tokenizer, generation settings and licences, and the safetensors that
// transformers would take (model.safetensors, else what its index names). Never .bin, nor a second form of the same weights.
import { AoError } from '@ao/core';

/** What a folder is wanted for; each includes the ones before it, 'headers' all but the weights. */
export type Purpose = 'config' | 'tokenizer' | 'headers' | 'model';

export const SINGLE = 'model.safetensors';
export const INDEX = 'model.safetensors.index.json';

const CONFIG = /^(config|generation_config)\.json$/;
const TOKENIZER =
  /^(tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template)\.json$|^(merges|vocab)\.txt$|^tokenizer\.model$|^(additional_chat_templates\/[^/]+|chat_template)\.jinja$/;
const BESIDE =
  /^(preprocessor_config|processor_config|modules|config_sentence_transformers|sentence_bert_config)\.json$|^\d+_\w+\/config\.json$|^(LICENSE|NOTICE)[^/]*$/;

/** Of paths inside the model's folder, those that are small and needed; the index too. */
export function smallFiles(paths: readonly string[], purpose: Purpose): string[] {
  const wanted = (path: string): boolean =>
    CONFIG.test(path) ||
    (purpose !== 'config' && TOKENIZER.test(path)) ||
    ((purpose === 'model' || purpose === 'headers') && (BESIDE.test(path) || path === INDEX));
  return paths.filter(wanted);
}

/** Files without which the purpose fails, whatever else is there. */
export function essential(purpose: Purpose): string {
  return purpose === 'tokenizer' ? 'tokenizer.json' : 'config.json';
}

/** The weights; `index` gives the files that the index names. Throws ERR_AO_FORMAT where there are no safetensors. */
export async function weightFiles(
  paths: readonly string[],
  index: () => Promise<readonly string[]>,
  where: string,
): Promise<readonly string[]> {
  if (paths.includes(SINGLE)) return [SINGLE];
  if (paths.includes(INDEX)) return index();
  const other = paths.filter((path) => /\.(bin|pt|pth|gguf|onnx|h5|msgpack|safetensors)$/.test(path));
  throw new AoError('ERR_AO_FORMAT', `${where} has neither ${SINGLE} nor ${INDEX}`, {
    fix:
      other.length > 0
        ? `it has ${other.slice(0, 3).join(', ')}: convert it to safetensors once, e.g. with save_pretrained`
        : 'name a model repository',
  });
}
