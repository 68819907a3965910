// What a line that begins with a slash does to a chat.
import type { ChatSession } from '@ao/hf-integration';
import { UsageError } from '../exit.ts';
import { rate, table } from '../output.ts';
import type { Talk } from './talk.ts';

interface SlashCommand {
  /** What may follow the name, for people. */
  readonly takes?: string;
  readonly what: string;
  /** Gives what to print; '' for nothing. */
  run(talk: Talk, text: string): string | Promise<string>;
}

export const SLASH: Readonly<Record<string, SlashCommand>> = {
  help: { what: 'this list', run: () => help() },
  reset: {
    what: 'begin again; the system prompt stays',
    run({ session }) {
      session.reset();
      return 'the conversation is empty';
    },
  },
  undo: {
    what: 'take the last turn back',
    run({ session }) {
      const [first] = session.undo();
      return first === undefined ? 'there is nothing to undo' : `taken back: ${String(first.content)}`;
    },
  },
  retry: {
    what: 'another reply to the last message',
    run: (talk) => talk.reply(talk.session.regenerate.bind(talk.session)),
  },
  edit: {
    takes: 'TEXT',
    what: 'the last message again, with another text',
    run: (talk, text) => talk.reply((options) => talk.session.edit(needed(text, '/edit TEXT'), options)),
  },
  system: {
    takes: '[TEXT]',
    what: 'show the system prompt, or set it',
    run({ session }, text) {
      if (text !== '') session.system = text;
      return session.system ?? 'there is no system prompt';
    },
  },
  save: {
    takes: 'FILE',
    what: 'write the conversation and its settings',
    async run({ session }, file) {
      await session.save(needed(file, '/save FILE'));
      return `saved ${session.messages.length} messages in ${file}`;
    },
  },
  load: {
    takes: 'FILE',
    what: 'go on with a saved conversation',
    async run(talk, file) {
      await talk.load(needed(file, '/load FILE'));
      return `${talk.session.messages.length} messages from ${file}`;
    },
  },
  history: { what: 'the conversation so far', run: ({ session }) => history(session) },
  stats: { what: 'tokens and speed of the last reply', run: stats },
  exit: {
    what: 'leave; so does Ctrl-D',
    run(talk) {
      talk.ended = true;
      return '';
    },
  },
};

/** '/save a b' -> the command and 'a b'; undefined where the line is no command. */
export function slashCommand(line: string): { command: SlashCommand; text: string } | undefined {
  const match = /^\/(\S*)\s*(.*)$/s.exec(line);
  if (!match) return undefined;
  const [, name, text] = match as unknown as [string, string, string];
  const command = Object.hasOwn(SLASH, name) ? SLASH[name] : undefined;
  if (command === undefined) throw new UsageError(`there is no /${name}; /help lists what there is`);
  return { command, text: text.trim() };
}

function help(): string {
  const rows = Object.entries(SLASH).map(([name, { takes = '', what }]) => [`/${name} ${takes}`.trim(), what]);
  return `${table(['command', 'does'], rows)}\nA line that ends with \\ goes on in the next. Ctrl-C stops a reply.`;
}

function history({ messages }: ChatSession): string {
  return messages.map(({ role, content }) => `${role}: ${String(content)}`).join('\n') || 'the conversation is empty';
}

function stats({ session, last }: Talk): string {
  if (last === undefined) return 'there is no reply yet';
  const { promptIds, prefilledTokens, cachedTokens, ids, decodeTokensPerSecond, speculation, droppedTurns } = last;
  const rows: [string, string | number][] = [
    ['tokens of the conversation', promptIds.length + ids.length],
    ['of at most', session.options.contextLength ?? session.model.maxPositions],
    ['prompt tokens held already', cachedTokens],
    ['prompt tokens read', prefilledTokens],
    ['tokens written', ids.length],
    ['tokens per second', rate(decodeTokensPerSecond)],
    ...(droppedTurns === 0 ? [] : [['oldest turns left out', droppedTurns] as [string, number]]),
    ...(speculation === undefined
      ? []
      : [['drafts accepted', `${speculation.accepted} of ${speculation.drafted}`] as [string, string]]),
  ];
  return table(['last reply', ''], rows);
}

function needed(text: string, usage: string): string {
  if (text === '') throw new UsageError(`give ${usage}`);
  return text;
}
