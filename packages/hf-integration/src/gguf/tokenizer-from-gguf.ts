// tokenizerFromGguf(f): tokenizer.json and tokenizer_config.json of a GGUF's tokens.
//   'gpt2'   byte-level BPE: tokens, merges, and the name of how a text is cut
//   'llama'  sentencepiece: tokens with scores; a pair is merged by its result's score, so merges are all the pairs that make
//            a token, the best score first
import { AoError } from '@ao/core';
import type { Json } from '../config/read-json.ts';
import type { GgufFields } from './gguf-fields.ts';
import { ggufError } from './parse-gguf.ts';
import { preTokenizerOf } from './pre-tokenizers.ts';

export interface GgufTokenizer {
  readonly tokenizer: Json;
  readonly config: Json;
}

const UNKNOWN = 2;
const CONTROL = 3;
const USER = 4;

/** undefined where the file has no tokens. Throws ERR_AO_CONFIG for kinds that are not read. */
export function tokenizerFromGguf(f: GgufFields): GgufTokenizer | undefined {
  const model = f.text('tokenizer.ggml.model');
  const tokens = f.get('tokenizer.ggml.tokens');
  if (model === undefined || tokens === undefined || model === 'none') return undefined;
  if (!isTexts(tokens)) throw ggufError(f.file, 'tokenizer.ggml.tokens is no list of texts');
  const types = (f.get('tokenizer.ggml.token_type') ?? tokens.map(() => 1)) as readonly number[];
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const added = tokens.flatMap((content, id) => {
    const type = types[id] ?? 1;
    return [UNKNOWN, CONTROL, USER].includes(type) ? [{ id, content, ...flags, special: type !== USER }] : [];
  });
  const text = (name: string): string | undefined => tokens[f.number(`tokenizer.ggml.${name}_token_id`) ?? -1];
  const parts =
    model === 'gpt2' ? byteLevel(f, tokens) : model === 'llama' ? sentencePiece(f, tokens, types) : undefined;
  if (parts === undefined) {
    throw new AoError('ERR_AO_CONFIG', `${f.file}: a tokenizer of kind '${model}' is not read`, {
      fix: 'gpt2 and llama are; put the model’s tokenizer.json beside the file',
    });
  }
  const bos = text('bos');
  const addsBos = f.get('tokenizer.ggml.add_bos_token') ?? model === 'llama';
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    ...parts,
    post_processor:
      addsBos && bos !== undefined ? beginning(bos, tokens.indexOf(bos)) : (parts['post_processor'] ?? null),
  };
  const template = f.text('tokenizer.chat_template');
  const special = [
    ['bos_token', bos],
    ['eos_token', text('eos')],
    ['pad_token', text('padding')],
    ['unk_token', text('unknown')],
    ['chat_template', template],
  ].filter(([, value]) => value !== undefined);
  const config = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    ...Object.fromEntries(special),
    clean_up_tokenization_spaces: false,
  };
  return { tokenizer, config };
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((v) => typeof v === 'string');

function beginning(token: string, id: number): Json {
  const special = { SpecialToken: { id: token, type_id: 0 } };
  return {
    type: 'TemplateProcessing',
    single: [special, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [special, { Sequence: { id: 'A', type_id: 0 } }, special, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

const vocabOf = (tokens: readonly string[]): Json => Object.fromEntries(tokens.map((token, id) => [token, id]));

function byteLevel(f: GgufFields, tokens: readonly string[]): Json {
  const merges = f.get('tokenizer.ggml.merges');
  if (!isTexts(merges)) throw ggufError(f.file, 'tokenizer.ggml.merges is no list of texts');
  const pre = preTokenizerOf(f.text('tokenizer.ggml.pre') ?? 'default', f.file);
  const steps = pre.steps.length === 1 ? pre.steps[0] : { type: 'Sequence', pretokenizers: pre.steps };
  const bytes = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true };
  return {
    normalizer: pre.normalizer ?? null,
    pre_tokenizer: steps,
    decoder: bytes,
    model: {
      ...MODEL,
      ignore_merges: pre.ignoreMerges ?? false,
      vocab: vocabOf(tokens),
      merges: merges.map((merge) => merge.split(' ', 2)),
    },
  };
}

const MODEL = {
  type: 'BPE',
  dropout: null,
  unk_token: null as string | null,
  continuing_subword_prefix: null,
  end_of_word_suffix: null,
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: false,
};

const SPACE = '\u2581';

function sentencePiece(f: GgufFields, tokens: readonly string[], types: readonly number[]): Json {
  const scores = f.get('tokenizer.ggml.scores');
  if (!Array.isArray(scores)) throw ggufError(f.file, 'tokenizer.ggml.scores is no list');
  const prefix = f.get('tokenizer.ggml.add_space_prefix') !== false;
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: SPACE };
  const back = { type: 'Replace', pattern: { String: SPACE }, content: ' ' };
  const unknown = types.indexOf(UNKNOWN);
  return {
    normalizer: { type: 'Sequence', normalizers: [...(prefix ? [{ type: 'Prepend', prepend: SPACE }] : []), replace] },
    pre_tokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        back,
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      ...MODEL,
      unk_token: tokens[unknown] ?? null,
      fuse_unk: true,
      byte_fallback: true,
      vocab: vocabOf(tokens),
      merges: mergesOf(tokens, types, scores as readonly number[]),
    },
  };
}

function mergesOf(tokens: readonly string[], types: readonly number[], scores: readonly number[]): string[][] {
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const merges: { pair: string[]; score: number }[] = [];
  for (const [id, token] of tokens.entries()) {
    if ((types[id] ?? 1) !== 1) continue;
    const characters = [...token];
    const pairs: { left: number; right: number; pair: string[] }[] = [];
    for (let i = 1; i < characters.length; i++) {
      const pair = [characters.slice(0, i).join(''), characters.slice(i).join('')];
      const [left, right] = pair.map((half) => ids.get(half));
      if (left !== undefined && right !== undefined) pairs.push({ left, right, pair });
    }
    pairs.sort((a, b) => a.left - b.left || a.right - b.right);
    for (const { pair } of pairs) merges.push({ pair, score: scores[id] ?? 0 });
  }
  return merges.sort((a, b) => b.score - a.score).map((m) => m.pair);
}
