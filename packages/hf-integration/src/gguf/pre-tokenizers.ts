// How text is cut before byte-level BPE, by the names that GGUF has for it (tokenizer.ggml.pre), as tokenizer.json says it.
import { AoError } from '@ao/core';
import type { Json } from '../config/read-json.ts';

export interface PreTokenizer {
  /** The first is the one that is written. */
  readonly names: readonly string[];
  readonly steps: readonly Json[];
  readonly normalizer?: Json;
  /** Whole words that are tokens are not merged. */
  readonly ignoreMerges?: boolean;
}

const byteLevel = (regex: boolean): Json => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: regex,
});
const split = (regex: string): readonly Json[] => [
  { type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false },
  byteLevel(false),
];

const SUFFIXES = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const words = (digits: string): string =>
  `${SUFFIXES}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const UPPER = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const LOWER = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';
const GPT_4O =
  `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+${SUFFIXES}?|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*${SUFFIXES}?` +
  '|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

const known: readonly PreTokenizer[] = [
  { names: ['gpt-2', 'default'], steps: [byteLevel(true)] },
  {
    names: ['smollm', 'starcoder', 'refact', 'command-r'],
    steps: [{ type: 'Digits', individual_digits: true }, byteLevel(true)],
  },
  { names: ['llama-bpe', 'llama3', 'llama-v3'], steps: split(words('\\p{N}{1,3}')), ignoreMerges: true },
  { names: ['qwen2', 'deepseek-r1-qwen'], steps: split(words('\\p{N}')), normalizer: { type: 'NFC' } },
  { names: ['gpt-4o'], steps: split(GPT_4O) },
];

export function preTokenizerOf(name: string, file: string): PreTokenizer {
  const found = known.find((p) => p.names.includes(name));
  if (found) return found;
  throw new AoError('ERR_AO_CONFIG', `${file}: how tokenizer.ggml.pre '${name}' cuts a text is not known here`, {
    fix: `${known.flatMap((p) => p.names).join(', ')} are known; put the model's tokenizer.json beside the file`,
  });
}

/** The name of the way in which a tokenizer.json cuts texts; undefined where GGUF has none that is known here. */
export function nameOfPreTokenizer(preTokenizer: unknown): string | undefined {
  const json = preTokenizer as { type?: string; pretokenizers?: readonly Json[] } | null | undefined;
  const steps = json?.type === 'Sequence' ? json.pretokenizers : [json];
  const told = JSON.stringify(steps?.map(essential));
  return known.find((p) => JSON.stringify(p.steps.map(essential)) === told)?.names[0];
}

/** Without what does not change the pieces. */
function essential(step: unknown): unknown {
  const { type, individual_digits, pattern, add_prefix_space, use_regex, behavior } = (step ?? {}) as Json;
  if (type === 'ByteLevel') return [type, add_prefix_space ?? false, use_regex ?? true];
  if (type === 'Digits') return [type, individual_digits ?? false];
  return [type, pattern, behavior];
}
