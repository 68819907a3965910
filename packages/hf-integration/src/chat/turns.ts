// A conversation as its head (the system's messages) and turns: each begins with a user's message and holds what follows it.
import type { ChatMessage } from '../tokenizer/chat-template.ts';

export interface Turns {
  readonly head: readonly ChatMessage[];
  readonly turns: readonly (readonly ChatMessage[])[];
}

const HEAD: ReadonlySet<string> = new Set(['system', 'developer']);

export function splitTurns(messages: readonly ChatMessage[]): Turns {
  const end = messages.findIndex(({ role }) => !HEAD.has(role));
  const head = end < 0 ? messages : messages.slice(0, end);
  const turns: ChatMessage[][] = [];
  for (const message of messages.slice(head.length)) {
    const last = turns.at(-1);
    // what stands before the first user's message belongs to the first turn
    if (last === undefined || (message.role === 'user' && last.some(({ role }) => role === 'user')))
      turns.push([message]);
    else last.push(message);
  }
  return { head, turns };
}
