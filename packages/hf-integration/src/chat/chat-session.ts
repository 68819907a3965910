// ChatSession: a conversation with a model. Each turn is the whole conversation in the chat template; keys and values stay between
// turns, so that only the ids that are new, or differ from those before, are read.
import { AoError } from '@ao/core';
import type { GenerateInput } from '../generate/generate.ts';
import { Generation, type Piece } from '../generate/generation.ts';
import { PastKeyValues } from '../generate/past-key-values.ts';
import type { CausalLM } from '../models/causal-lm.ts';
import type { ChatMessage } from '../tokenizer/chat-template.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { loadCache, saveCache } from './cache-file.ts';
import { readChat, writeChat } from './chat-file.ts';
import type { ChatOptions, ChatReply, TurnOptions } from './chat-options.ts';
import { type Fitted, fitContext } from './fit-context.ts';
import { splitTurns } from './turns.ts';

export interface SaveChatOptions {
  /** Also keys and values, as FILE.safetensors: the restored chat goes on without reading the conversation. Default false. */
  readonly cache?: boolean;
}

export class ChatSession {
  readonly model: CausalLM;
  readonly tokenizer: Tokenizer;
  readonly options: ChatOptions;
  #messages: readonly ChatMessage[];
  #past: PastKeyValues;
  /** Of the oldest turns, those that the context has no room for. */
  #dropped = 0;
  #running = false;
  #disposed = false;

  constructor(model: CausalLM, tokenizer: Tokenizer, options: ChatOptions = {}) {
    const { system, messages = [], ...rest } = options;
    const { contextLength, contextOverflow = 'error', abortedReply = 'discard' } = rest;
    const most = model.maxPositions;
    if (
      contextLength !== undefined &&
      !(Number.isInteger(contextLength) && contextLength >= 2 && contextLength <= most)
    )
      throw refusal(`contextLength is ${contextLength}`, `give a whole number from 2 to the model's ${most} positions`);
    if (!['error', 'shift'].includes(contextOverflow))
      throw refusal(`contextOverflow is ${JSON.stringify(contextOverflow)}`, "use 'error' or 'shift'");
    if (!['discard', 'keep'].includes(abortedReply))
      throw refusal(`abortedReply is ${JSON.stringify(abortedReply)}`, "use 'discard' or 'keep'");
    this.model = model;
    this.tokenizer = tokenizer;
    this.options = rest;
    this.#messages = messages;
    this.#past = new PastKeyValues(model);
    if (system !== undefined) this.system = system;
  }

  /** A chat that save wrote; options replace its own. The model need not be the same: then everything is read anew. */
  static async restore(
    file: string,
    model: CausalLM,
    tokenizer: Tokenizer,
    options: ChatOptions = {},
  ): Promise<ChatSession> {
    const { messages, dropped, options: saved, cache } = await readChat(file);
    const session = new ChatSession(model, tokenizer, { messages, ...saved, ...options });
    session.#dropped = dropped;
    if (cache) await loadCache(session.#past, `${file}.safetensors`);
    return session;
  }

  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  /** The system's message; undefined removes it. */
  get system(): string | undefined {
    const [first] = this.#messages;
    return first?.role === 'system' && typeof first.content === 'string' ? first.content : undefined;
  }

  set system(content: string | undefined) {
    this.#idle('system');
    const rest = this.#messages[0]?.role === 'system' ? this.#messages.slice(1) : this.#messages;
    this.#messages = content === undefined ? rest : [{ role: 'system', content }, ...rest];
  }

  /** Tokens whose keys and values are held. */
  get cachedTokens(): number {
    return this.#past.ids.length;
  }

  /** The reply to a user's text, to a message, or to several (results of tools). Iterate it for pieces, or await it. */
  send(message: string | ChatMessage | readonly ChatMessage[], options: TurnOptions = {}): Generation<ChatReply> {
    const added = typeof message === 'string' ? [{ role: 'user', content: message }] : [message].flat();
    return this.#turn(() => [...this.#messages, ...(added as ChatMessage[])], options);
  }

  /** Another reply instead of the last; that one stays until the new one is whole. */
  regenerate(options: TurnOptions = {}): Generation<ChatReply> {
    return this.#turn(() => {
      const { head, turns } = splitTurns(this.#messages);
      if (turns.length === 0) throw refusal('there is no reply to write anew', 'send a message first');
      const last = turns.at(-1)!;
      const end = last.at(-1)!.role === 'assistant' ? -1 : last.length;
      return [...head, ...turns.slice(0, -1).flat(), ...last.slice(0, end)];
    }, options);
  }

  /** The last turn again with another message. */
  edit(message: string | ChatMessage, options: TurnOptions = {}): Generation<ChatReply> {
    const changed: ChatMessage = typeof message === 'string' ? { role: 'user', content: message } : message;
    return this.#turn(() => {
      const { head, turns } = splitTurns(this.#messages);
      return [...head, ...turns.slice(0, -1).flat(), changed];
    }, options);
  }

  /** Takes the last turn back; what it held. */
  undo(): readonly ChatMessage[] {
    this.#idle('undo');
    const { head, turns } = splitTurns(this.#messages);
    this.#messages = [...head, ...turns.slice(0, -1).flat()];
    return turns.at(-1) ?? [];
  }

  /** Takes all turns back; the system's message stays. */
  reset(): void {
    this.#idle('reset');
    this.#messages = splitTurns(this.#messages).head;
    this.#dropped = 0;
  }

  /** Messages and settings as JSON; parseReply and options of speculation are given to restore again. */
  async save(file: string, { cache = false }: SaveChatOptions = {}): Promise<void> {
    this.#idle('save');
    const held = cache && this.#past.ids.length > 0;
    if (held) await saveCache(this.#past, `${file}.safetensors`);
    await writeChat(file, { messages: this.#messages, dropped: this.#dropped, options: this.options, cache: held });
  }

  /** Frees keys and values; the model stays. */
  dispose(): void {
    this.#idle('dispose');
    this.#disposed = true;
    this.#past.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #turn(conversation: () => readonly ChatMessage[], own: TurnOptions): Generation<ChatReply> {
    const turn = (): AsyncGenerator<Piece, ChatReply> => this.#reply(conversation(), { ...this.options, ...own });
    const start = (): void => {
      this.#idle('send');
      this.#running = true;
    };
    const end = (): void => {
      this.#running = false;
    };
    return new Generation(async function* () {
      start();
      try {
        return yield* turn();
      } finally {
        end();
      }
    });
  }

  async *#reply(
    conversation: readonly ChatMessage[],
    options: ChatOptions & TurnOptions,
  ): AsyncGenerator<Piece, ChatReply> {
    const fitted = await this.#fit(conversation, options);
    const { parseReply = (content) => ({ role: 'assistant', content }), abortedReply, signal } = options;
    const keep = (text: string): ChatMessage => {
      const message = parseReply(text);
      this.#messages = [...conversation, message];
      this.#dropped = fitted.dropped;
      return message;
    };
    const room = this.#limit - fitted.ids.length;
    const input: GenerateInput = { ...options, maxNewTokens: Math.min(options.maxNewTokens ?? room, room) };
    const run = this.model.generate(fitted.ids, { ...input, tokenizer: this.tokenizer, pastKeyValues: this.#past });
    let text = '';
    let left = true;
    try {
      for await (const piece of run) {
        text += piece.text;
        yield piece;
      }
      left = false;
    } catch (error) {
      left = signal?.aborted === true;
      throw error;
    } finally {
      if (left && abortedReply === 'keep' && text !== '') keep(text);
    }
    const result = await run;
    return { ...result, message: keep(result.text), droppedTurns: fitted.dropped };
  }

  #fit(conversation: readonly ChatMessage[], options: ChatOptions): Promise<Fitted> {
    const { contextOverflow: overflow = 'error', tools, chatTemplate, chatTemplateKwargs, maxNewTokens } = options;
    const limit = this.#limit;
    const reserve = Math.min(maxNewTokens ?? Math.ceil(limit / 4), Math.ceil(limit / 2));
    const template = {
      ...(tools === undefined ? {} : { tools }),
      ...(chatTemplate === undefined ? {} : { chatTemplate }),
      ...(chatTemplateKwargs === undefined ? {} : { chatTemplateKwargs }),
    };
    return fitContext(conversation, this.#dropped, {
      limit,
      reserve,
      overflow,
      encode: async (messages) =>
        this.tokenizer.encode(await this.tokenizer.applyChatTemplate(messages, template), { addSpecialTokens: false }),
    });
  }

  get #limit(): number {
    return this.options.contextLength ?? this.model.maxPositions;
  }

  #idle(what: string): void {
    if (this.#disposed)
      throw new AoError('ERR_AO_DISPOSED', `chat: ${what} after dispose`, { fix: 'make a new session' });
    if (this.#running) throw refusal(`${what} while a turn is running`, 'await it, or abort it by its signal');
  }
}

function refusal(message: string, fix: string): AoError {
  return new AoError('ERR_AO_CONFIG', `chat: ${message}`, { op: 'chat', fix });
}
