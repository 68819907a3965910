// What a chat is set up with and what a turn of it gives.
import type { GenerateInput } from '../generate/generate.ts';
import type { GenerationResult } from '../generate/generation.ts';
import type { ChatMessage, ChatTool } from '../tokenizer/chat-template.ts';

/** Of one turn; what is left out is the session's. */
export type TurnOptions = Omit<GenerateInput, 'tokenizer' | 'pastKeyValues'>;

/** Generation options are the defaults of all turns. */
export interface ChatOptions extends Omit<TurnOptions, 'signal'> {
  /** The system's message. */
  readonly system?: string;
  /** What the conversation has so far; a system's message may come first. */
  readonly messages?: readonly ChatMessage[];
  /** Told to the model where its template knows tools. */
  readonly tools?: readonly ChatTool[];
  /** A Jinja template instead of the tokenizer's own, or the name of one of its own. */
  readonly chatTemplate?: string;
  /** What else the template reads: { enable_thinking: false }. */
  readonly chatTemplateKwargs?: Readonly<Record<string, unknown>>;
  /** Most tokens of a conversation. Default: the model's positions. */
  readonly contextLength?: number;
  /**
   * What to do when the conversation leaves no room for a reply. 'error' (default), or 'shift': the oldest turns are no longer
   * shown to the model, until maxNewTokens (a quarter of the context unless given, half of it at most) are free.
   */
  readonly contextOverflow?: 'error' | 'shift';
  /** Whether an aborted turn stays in the conversation with what was written, or leaves no trace (default). */
  readonly abortedReply?: 'discard' | 'keep';
  /** The message that a reply becomes, e.g. with tool_calls read from its text. Default: an assistant's with the text. */
  readonly parseReply?: (text: string) => ChatMessage;
}

export interface ChatReply extends GenerationResult {
  /** As it stands in the conversation. */
  readonly message: ChatMessage;
  /** How many of the oldest turns the model was not shown. */
  readonly droppedTurns: number;
}
