// fitContext(conversation, dropped, ...): the ids of a conversation, without as many of its oldest turns as the context has no
// room for. The head and the last turn always stay.
import { AoError } from '@ao/core';
import type { ChatMessage } from '../tokenizer/chat-template.ts';
import { splitTurns } from './turns.ts';

export interface Context {
  /** Most positions. */
  readonly limit: number;
  /** Positions that the reply should find free where turns can be dropped for it. */
  readonly reserve: number;
  readonly overflow: 'error' | 'shift';
  encode(messages: readonly ChatMessage[]): Promise<readonly number[]>;
}

export interface Fitted {
  readonly ids: readonly number[];
  /** How many of the oldest turns are not in it. */
  readonly dropped: number;
}

export async function fitContext(
  conversation: readonly ChatMessage[],
  dropped: number,
  { limit, reserve, overflow, encode }: Context,
): Promise<Fitted> {
  const { head, turns } = splitTurns(conversation);
  const most = Math.max(0, turns.length - 1);
  for (let drop = Math.min(dropped, most); ; drop++) {
    const ids = await encode([...head, ...turns.slice(drop).flat()]);
    const shifts = overflow === 'shift' && drop < most;
    if (ids.length + (shifts ? reserve : 1) <= limit) return { ids, dropped: drop };
    if (shifts) continue;
    const part = overflow === 'error' ? 'the conversation' : 'the last turn alone';
    throw new AoError('ERR_AO_CONFIG', `${part} has ${ids.length} tokens, the context ${limit}: no room for a reply`, {
      op: 'chat',
      fix:
        overflow === 'error' && turns.length > 1
          ? "use contextOverflow: 'shift' to leave out the oldest turns, undo() or reset()"
          : 'shorten the message or the system prompt',
    });
  }
}
