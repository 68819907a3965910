// A saved chat: one JSON object { format: 'ao-chat', version: 1, messages, dropped, options, cache }.
import { readFile } from 'node:fs/promises';
import { AoError } from '@ao/core';
import { writeText } from '../files/node-file.ts';
import type { SpeculativeOptions } from '../generate/speculation.ts';
import type { ChatMessage } from '../tokenizer/chat-template.ts';
import type { ChatOptions } from './chat-options.ts';

export interface SavedChat {
  readonly messages: readonly ChatMessage[];
  /** Oldest turns that the model is no longer shown. */
  readonly dropped: number;
  readonly options: ChatOptions;
  /** Keys and values lie beside it. */
  readonly cache: boolean;
}

const FORMAT = { format: 'ao-chat', version: 1 };

/** How fast, not what: it depends on the models at hand. */
const SPECULATIVE: ReadonlySet<string> = new Set<keyof SpeculativeOptions>([
  'promptLookupNumTokens',
  'maxMatchingNgramSize',
  'assistantModel',
  'numAssistantTokens',
]);

export async function writeChat(file: string, { options, ...chat }: SavedChat): Promise<void> {
  const saved = Object.entries(options).filter(([name, value]) => !SPECULATIVE.has(name) && isPlain(value));
  await writeText(file, `${JSON.stringify({ ...FORMAT, ...chat, options: Object.fromEntries(saved) }, null, 2)}\n`);
}

export async function readChat(file: string): Promise<SavedChat> {
  const refuse = (problem: string): never => {
    throw new AoError('ERR_AO_FORMAT', `${file} ${problem}`, { fix: 'give a file that ChatSession.save wrote' });
  };
  const text = await readFile(file, 'utf8').catch((error: Error) => refuse(`cannot be read: ${error.message}`));
  const json = parse(text, refuse);
  if (json?.format !== FORMAT.format) return refuse('is no saved chat');
  if (json.version !== FORMAT.version)
    return refuse(`has version ${json.version}, this package reads ${FORMAT.version}`);
  const { messages, dropped = 0, options = {}, cache = false } = json;
  if (!Array.isArray(messages)) return refuse('has no messages');
  const wrong = messages.findIndex((m) => typeof (m as ChatMessage | null)?.role !== 'string');
  if (wrong >= 0) return refuse(`message ${wrong} has no role`);
  if (!Number.isInteger(dropped) || dropped < 0) return refuse(`dropped is ${JSON.stringify(dropped)}`);
  return { messages, dropped, options, cache };
}

function parse(text: string, refuse: (problem: string) => never): Partial<SavedChat & typeof FORMAT> | null {
  try {
    return JSON.parse(text) as ReturnType<typeof parse>;
  } catch (error) {
    return refuse(`is not JSON: ${(error as Error).message}`);
  }
}

/** What JSON gives back as it was. */
function isPlain(value: unknown): boolean {
  if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) return true;
  if (Array.isArray(value)) return value.every(isPlain);
  if (typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) return false;
  return Object.values(value).every(isPlain);
}
