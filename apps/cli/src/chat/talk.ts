// Talk: a session and how its replies reach stdout. One reply at a time, which its own signal stops.
import { setImmediate } from 'node:timers/promises';
import type { ChatReply, ChatSession, Generation, TurnOptions } from '@ao/hf-integration';

export class Talk {
  session: ChatSession;
  last: ChatReply | undefined;
  /** All replies, in order. */
  readonly replies: ChatReply[] = [];
  ended = false;
  readonly #restore: (file: string) => Promise<ChatSession>;
  readonly #signal: AbortSignal;
  readonly #write: (text: string) => void;
  #turn: AbortController | undefined;

  constructor(
    session: ChatSession,
    restore: (file: string) => Promise<ChatSession>,
    signal: AbortSignal,
    write: (text: string) => void,
  ) {
    this.session = session;
    this.#restore = restore;
    this.#signal = signal;
    this.#write = write;
  }

  get running(): boolean {
    return this.#turn !== undefined;
  }

  /** Streams a reply; '' or why it stopped. */
  async reply(start: (options: TurnOptions) => Generation<ChatReply>): Promise<string> {
    const turn = new AbortController();
    this.#turn = turn;
    try {
      const run = start({ signal: AbortSignal.any([turn.signal, this.#signal]) });
      for await (const { text } of run) {
        this.#write(text);
        // a backend that works in this thread leaves no other time to look at keys
        await setImmediate();
      }
      this.last = await run;
      this.replies.push(this.last);
      this.#write('\n');
      const { finishReason, droppedTurns } = this.last;
      const cut = finishReason === 'length' ? ['(cut off: --max-tokens or the context is used up)'] : [];
      const dropped = droppedTurns > 0 ? [`(the oldest ${droppedTurns} turns no longer fit and are left out)`] : [];
      return [...cut, ...dropped].join('\n');
    } catch (error) {
      if (!turn.signal.aborted) throw error;
      this.#write('\n');
      return '(stopped)';
    } finally {
      this.#turn = undefined;
    }
  }

  /** Ends the reply that runs. */
  stop(): void {
    this.#turn?.abort();
  }

  async load(file: string): Promise<void> {
    const session = await this.#restore(file);
    this.session.dispose();
    this.session = session;
    this.last = undefined;
  }
}
