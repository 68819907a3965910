// Tokenizer: text <-> token ids of one model, through @huggingface/tokenizers. Ids are plain numbers.
import { AoError } from '@ao/core';
import { Tokenizer as Encoder } from '@huggingface/tokenizers';
import type { Json } from '../config/read-json.ts';
import { type ChatMessage, renderChat } from './chat-template.ts';
import { TextStream } from './text-stream.ts';
import { tokenBytes } from './token-bytes.ts';

export interface DecodeOptions {
  /** Leave out tokens such as <|im_end|>. Default true. */
  readonly skipSpecialTokens?: boolean;
}

export interface ChatTemplateOptions {
  /** End with the header of the assistant's turn. Default true. */
  readonly addGenerationPrompt?: boolean;
  /** A Jinja template instead of the model's own. */
  readonly chatTemplate?: string;
}

export class Tokenizer {
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  readonly padToken: string | undefined;
  readonly chatTemplate: string | undefined;
  #encoder: Encoder;
  readonly #json: Json;
  #bytes: readonly (Uint8Array | undefined)[] | undefined;

  constructor(tokenizer: Json, config: Json, chatTemplate?: string) {
    this.#json = tokenizer;
    // Absent means false since transformers 5; the encoder would take it as true and change the text.
    const cleanUp = config['clean_up_tokenization_spaces'] ?? false;
    this.#encoder = new Encoder(tokenizer, { ...config, clean_up_tokenization_spaces: cleanUp });
    this.bosToken = tokenText(config['bos_token']);
    this.eosToken = tokenText(config['eos_token']);
    this.padToken = tokenText(config['pad_token']);
    this.chatTemplate = chatTemplate ?? templateOf(config['chat_template']);
  }

  get bosTokenId(): number | undefined {
    return this.bosToken === undefined ? undefined : this.tokenToId(this.bosToken);
  }

  get eosTokenId(): number | undefined {
    return this.eosToken === undefined ? undefined : this.tokenToId(this.eosToken);
  }

  encode(text: string, options: { readonly addSpecialTokens?: boolean } = {}): number[] {
    return this.#encoder.encode(text, { add_special_tokens: options.addSpecialTokens ?? true }).ids;
  }

  decode(ids: readonly number[], options: DecodeOptions = {}): string {
    if (ids.length === 0) return '';
    return this.#encoder.decode([...ids], { skip_special_tokens: options.skipSpecialTokens ?? true });
  }

  /** Decodes one id at a time and never splits a character. */
  stream(options: DecodeOptions = {}): TextStream {
    return new TextStream((ids) =>
      ids.length === 0
        ? ''
        : this.#encoder.decode([...ids], {
            skip_special_tokens: options.skipSpecialTokens ?? true,
            clean_up_tokenization_spaces: false,
          }),
    );
  }

  /** Of each id the bytes it adds to a text; undefined for special tokens. Made at the first call. */
  tokenBytes(): readonly (Uint8Array | undefined)[] {
    this.#bytes ??= tokenBytes(this.#json);
    return this.#bytes;
  }

  tokenToId(token: string): number | undefined {
    return this.#encoder.token_to_id(token);
  }

  idToToken(id: number): string | undefined {
    return this.#encoder.id_to_token(id);
  }

  /** The conversation as the model's own template writes it. Encode it with addSpecialTokens: false. */
  async applyChatTemplate(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): Promise<string> {
    const template = options.chatTemplate ?? this.chatTemplate;
    if (template === undefined) {
      throw new AoError('ERR_AO_CONFIG', 'this tokenizer has no chat template', {
        fix: 'pass chatTemplate, or use a plain prompt: the model may not be a chat model',
      });
    }
    return renderChat(template, messages, {
      add_generation_prompt: options.addGenerationPrompt ?? true,
      bos_token: this.bosToken ?? '',
      eos_token: this.eosToken ?? '',
      pad_token: this.padToken ?? '',
    });
  }
}

/** A special token is a string or an AddedToken object. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const content = (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === 'string' ? content : undefined;
}

/** One template, or a list of named ones of which 'default' counts. */
function templateOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  const named = value as { name?: string; template?: string }[];
  return (named.find((t) => t.name === 'default') ?? named[0])?.template;
}
