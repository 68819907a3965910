// ggufTokens(tokenizer.json, config): a tokenizer as GGUF's metadata: byte-level BPE as 'gpt2', sentencepiece's BPE as 'llama'.
// A 'llama' token's score is what its merge comes before: minus the merge's place.
import { AoError } from '@ao/core';
import type { Json } from '../config/read-json.ts';
import type { GgufPair } from './gguf-head.ts';
import { nameOfPreTokenizer } from './pre-tokenizers.ts';

const [NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE] = [1, 2, 3, 4, 5, 6];

interface Added {
  readonly id: number;
  readonly content: string;
  readonly special?: boolean;
}

interface Bpe {
  readonly type?: string;
  readonly vocab?: Readonly<Record<string, number>>;
  readonly merges?: readonly (string | readonly string[])[];
  readonly byte_fallback?: boolean;
  readonly unk_token?: string | null;
}

export interface TokenizerFiles {
  readonly tokenizer: Json;
  /** tokenizer_config.json. */
  readonly config: Json;
  readonly chatTemplate: string | undefined;
  /** config.json, for the ids of special tokens. */
  readonly model: Json;
}

/** Throws ERR_AO_CONFIG for tokenizers that GGUF has no form for. */
export function ggufTokens(files: TokenizerFiles, vocabSize: number): GgufPair[] {
  const model = (files.tokenizer['model'] ?? {}) as Bpe;
  const added = (files.tokenizer['added_tokens'] ?? []) as readonly Added[];
  if (model.type !== 'BPE' || !model.vocab) throw unknown(`a ${model.type ?? 'nameless'} model of tokens`);
  const tokens = Array.from({ length: vocabSize }, (_, id) => `[PAD${id}]`);
  const types = tokens.map(() => UNUSED!);
  const put = (id: number, token: string, type: number): void => {
    if (id >= vocabSize) throw unknown(`token ${id}, of ${vocabSize} that the model has`);
    tokens[id] = token;
    types[id] = type;
  };
  const byteFallback = model.byte_fallback === true;
  for (const [token, id] of Object.entries(model.vocab))
    put(id, token, byteFallback && /^<0x[0-9A-F]{2}>$/.test(token) ? BYTE! : NORMAL!);
  for (const { id, content, special } of added)
    put(id, content, content === model.unk_token ? UNKNOWN! : special ? CONTROL! : USER!);
  const merges = (model.merges ?? []).map((m) => (typeof m === 'string' ? m : m.join(' ')));
  const own = byteFallback ? sentencePiece(files.tokenizer, tokens, merges) : byteLevel(files.tokenizer, merges);
  return [
    ['tokenizer.ggml.model', 'string', byteFallback ? 'llama' : 'gpt2'],
    ['tokenizer.ggml.tokens', 'string[]', tokens],
    ['tokenizer.ggml.token_type', 'i32[]', types],
    ...own,
    ...ids(files, tokens),
    ['tokenizer.ggml.add_bos_token', 'bool', addsBos(files.tokenizer, files.config)],
    ...(files.chatTemplate === undefined ? [] : [['tokenizer.chat_template', 'string', files.chatTemplate] as const]),
  ];
}

const unknown = (what: string): AoError =>
  new AoError('ERR_AO_CONFIG', `GGUF has no form for this tokenizer: ${what}`, {
    fix: 'byte-level BPE and sentencepiece BPE have one',
  });

function byteLevel(tokenizer: Json, merges: readonly string[]): GgufPair[] {
  const pre = nameOfPreTokenizer(tokenizer['pre_tokenizer']);
  if (pre === undefined) throw unknown('its way of cutting a text into words is none that is known here');
  return [
    ['tokenizer.ggml.pre', 'string', pre],
    ['tokenizer.ggml.merges', 'string[]', merges],
  ];
}

function sentencePiece(tokenizer: Json, tokens: readonly string[], merges: readonly string[]): GgufPair[] {
  const place = new Map<string, number>();
  for (const [i, merge] of merges.entries()) {
    const token = merge.replace(' ', '');
    if (!place.has(token)) place.set(token, i + 1);
  }
  const normalizer = JSON.stringify(tokenizer['normalizer'] ?? null);
  return [
    ['tokenizer.ggml.pre', 'string', 'default'],
    ['tokenizer.ggml.scores', 'f32[]', tokens.map((token) => -(place.get(token) ?? 0))],
    ['tokenizer.ggml.add_space_prefix', 'bool', normalizer.includes('"Prepend"')],
  ];
}

function ids({ config, model }: TokenizerFiles, tokens: readonly string[]): GgufPair[] {
  const named = [
    ['bos', 'bos'],
    ['eos', 'eos'],
    ['unk', 'unknown'],
    ['pad', 'padding'],
  ] as const;
  return named.flatMap(([ours, theirs]): GgufPair[] => {
    const token = config[`${ours}_token`] as string | { readonly content?: string } | null | undefined;
    const text = typeof token === 'string' ? token : token?.content;
    const stated = model[`${ours}_token_id`];
    const id = text === undefined ? (Array.isArray(stated) ? stated[0] : stated) : tokens.indexOf(text);
    return typeof id === 'number' && id >= 0 ? [[`tokenizer.ggml.${theirs}_token_id`, 'u32', id]] : [];
  });
}

/** Whether an encoded text begins with the special token. */
function addsBos(tokenizer: Json, config: Json): boolean {
  const processor = tokenizer['post_processor'] as {
    type?: string;
    single?: readonly Json[];
    processors?: readonly Json[];
  } | null;
  const all = processor?.type === 'Sequence' ? (processor.processors ?? []) : [processor];
  const template = all.find((p) => p?.['type'] === 'TemplateProcessing') as { single?: readonly Json[] } | undefined;
  if (template) return template.single?.[0] !== undefined && 'SpecialToken' in template.single[0];
  return config['add_bos_token'] === true && processor === undefined;
}
