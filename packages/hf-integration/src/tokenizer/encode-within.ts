// encodeWithin(tokenizer, text, most): the ids of a text, cut at its end to `most` with the special tokens kept, as
// transformers' truncation=True does: [CLS] a b c [SEP] in 4 is [CLS] a b [SEP].
import { AoError } from '@ao/core';
import type { Tokenizer } from './tokenizer.ts';

export function encodeWithin(tokenizer: Tokenizer, text: string, most: number): number[] {
  const ids = tokenizer.encode(text);
  if (ids.length <= most) return ids;
  const bare = tokenizer.encode(text, { addSpecialTokens: false });
  const special = ids.length - bare.length;
  if (!Number.isInteger(most) || most <= special) {
    throw new AoError('ERR_AO_CONFIG', `maxLength is ${most}`, {
      op: 'embed',
      fix: `give a whole number above the ${special} special tokens`,
    });
  }
  let before = 0;
  while (before < special && bare.some((id, i) => id !== ids[before + i])) before++;
  return [...ids.slice(0, before), ...bare.slice(0, most - special), ...ids.slice(before + bare.length)];
}
