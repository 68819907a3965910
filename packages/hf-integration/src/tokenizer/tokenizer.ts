// Tokenizer: text <-> token ids of one model, through @huggingface/tokenizers. Ids are plain numbers.
import { Tokenizer as Encoder } from '@huggingface/tokenizers';
import type { Json } from '../config/read-json.ts';
import { type ChatMessage, type ChatTemplates, type ChatTool, chooseTemplate, renderChat } from './chat-template.ts';
import { TextStream } from './text-stream.ts';
import { tokenBytes } from './token-bytes.ts';

export interface DecodeOptions {
  /** Leave out tokens such as <|im_end|>. Default true. */
  readonly skipSpecialTokens?: boolean;
}

export interface ChatTemplateOptions {
  /** End with the header of the assistant's turn. Default true. */
  readonly addGenerationPrompt?: boolean;
  /** A Jinja template instead of the model's own, or the name of one of its own. */
  readonly chatTemplate?: string;
  /** What the model may call; templates that know no tools leave it out. */
  readonly tools?: readonly ChatTool[];
  /** What the model may read: [{ title, text }]. */
  readonly documents?: readonly Readonly<Record<string, unknown>>[];
  /** What else the template reads: { enable_thinking: false }. */
  readonly chatTemplateKwargs?: Readonly<Record<string, unknown>>;
}

export class Tokenizer {
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  readonly padToken: string | undefined;
  readonly chatTemplates: ChatTemplates;
  #encoder: Encoder;
  readonly #json: Json;
  readonly #specialTokens: Readonly<Record<string, string>>;
  #bytes: readonly (Uint8Array | undefined)[] | undefined;

  constructor(tokenizer: Json, config: Json, chatTemplates: ChatTemplates = {}) {
    this.#json = tokenizer;
    // Absent means false since transformers 5; the encoder would take it as true and change the text.
    const cleanUp = config['clean_up_tokenization_spaces'] ?? false;
    this.#encoder = new Encoder(tokenizer, { ...config, clean_up_tokenization_spaces: cleanUp });
    this.bosToken = tokenText(config['bos_token']);
    this.eosToken = tokenText(config['eos_token']);
    this.padToken = tokenText(config['pad_token']);
    this.chatTemplates = chatTemplates;
    const special = SPECIAL.map((name) => [name, tokenText(config[name]) ?? '']);
    this.#specialTokens = Object.fromEntries(special) as Record<string, string>;
  }

  /** The default one. */
  get chatTemplate(): string | undefined {
    return this.chatTemplates['default'];
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
    const { tools, documents, chatTemplateKwargs, addGenerationPrompt = true } = options;
    const template = chooseTemplate(this.chatTemplates, options.chatTemplate, tools !== undefined);
    return renderChat(template, messages, {
      ...this.#specialTokens,
      tools: tools ?? null,
      documents: documents ?? null,
      add_generation_prompt: addGenerationPrompt,
      ...chatTemplateKwargs,
    });
  }
}

const SPECIAL = ['bos_token', 'eos_token', 'pad_token', 'unk_token', 'sep_token', 'cls_token', 'mask_token'];

/** A special token is a string or an AddedToken object. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const content = (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === 'string' ? content : undefined;
}
