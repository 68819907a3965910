// ao chat: a conversation. Typed or piped in line by line, replies stream to stdout, notes go to stderr; with --json one object at
// the end.
import { type ChatOptions, ChatSession, type KVCacheFormat, type Tokenizer } from '@ao/hf-integration';
import { addHistory, HISTORY_SIZE, historyFile, readHistory } from '../chat/input-history.ts';
import { Lines } from '../chat/lines.ts';
import { SLASH, slashCommand } from '../chat/slash-commands.ts';
import { Talk } from '../chat/talk.ts';
import { EXIT, UsageError } from '../exit.ts';
import { type ModelOptions, type Opened, openModel } from '../open-model.ts';
import { printJson } from '../output.ts';
import { readText } from '../read-text.ts';
import { type SamplingFlags, samplingOptions } from '../sampling.ts';

interface Options extends ModelOptions, SamplingFlags {
  readonly system?: string;
  readonly template?: string;
  readonly load?: string;
  readonly context?: number;
  readonly assistant?: string;
  readonly assistantScheme?: string;
  readonly assistantTokens?: number;
  readonly promptLookup?: number;
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
  readonly kvCache?: KVCacheFormat;
  readonly json?: boolean;
}

/** New tokens a reply, unless said otherwise. */
const MOST = 512;

export async function chat(name: string, options: Options): Promise<void> {
  const template = options.template === undefined ? undefined : await readText(options.template, '--template');
  const sampling = await samplingOptions(options);
  const opened = await openModel(name, { ...options, tokenizer: true });
  let assistant: Opened | undefined;
  try {
    const tokenizer = await opened.tokenizer();
    checkTemplate(name, tokenizer, template);
    if (options.assistant !== undefined) {
      const { assistantScheme: scheme, rule: _, scheme: __, ...same } = options;
      const quantized = scheme === undefined ? {} : { scheme };
      assistant = await openModel(options.assistant, { ...same, ...quantized, tokenizer: false });
    }
    const asked = {
      ...chatOptions(options, template),
      ...sampling,
      ...(assistant ? { assistantModel: assistant.model } : {}),
    };
    const restore = (file: string): Promise<ChatSession> => ChatSession.restore(file, opened.model, tokenizer, asked);
    const defaults: ChatOptions = { maxNewTokens: MOST, contextOverflow: 'shift', abortedReply: 'keep' };
    const session =
      options.load === undefined
        ? new ChatSession(opened.model, tokenizer, { ...defaults, ...asked })
        : await restore(options.load);
    const write = options.json ? () => {} : (text: string) => void process.stdout.write(text);
    const talk = new Talk(session, restore, opened.signal, write);
    await converse(talk, opened.signal);
    if (options.json) {
      const turns = talk.replies.map(({ promptIds: _, message: __, ...fields }) => fields);
      printJson({ messages: talk.session.messages, turns });
    }
    talk.session.dispose();
  } finally {
    await assistant?.close();
    await opened.close();
  }
}

async function converse(talk: Talk, signal: AbortSignal): Promise<void> {
  const file = historyFile();
  // the second Ctrl-C on an empty line leaves
  let armed = false;
  const lines = new Lines({
    prompt: '> ',
    history: await readHistory(file),
    historySize: HISTORY_SIZE,
    complete: (line) => Object.keys(SLASH).flatMap((name) => (`/${name}`.startsWith(line) ? [`/${name}`] : [])),
    onInterrupt(empty) {
      if (talk.running) talk.stop();
      else if (armed && empty) {
        process.exitCode = EXIT.interrupted;
        lines.close();
      } else {
        process.stderr.write('\n(Ctrl-C again, Ctrl-D or /exit leaves)\n');
        lines.prompt();
      }
      armed = true;
    },
  });
  signal.addEventListener('abort', () => lines.close(), { once: true });
  if (lines.terminal) process.stderr.write('/help lists what can be typed here, /exit leaves\n');
  try {
    while (!talk.ended) {
      const line = await lines.next();
      signal.throwIfAborted();
      if (line === undefined) break;
      armed = false;
      if (line.trim() === '') continue;
      await answer(talk, line.trim(), lines.terminal);
    }
  } finally {
    lines.close();
    if (lines.terminal) {
      await addHistory(file, lines.typed).catch((error: Error) => {
        process.stderr.write(`ao: ${file} cannot be written, what was typed is forgotten: ${error.message}\n`);
      });
    }
  }
}

/** A person reads what went wrong and goes on; a script ends. */
async function answer(talk: Talk, line: string, terminal: boolean): Promise<void> {
  try {
    const slash = slashCommand(line);
    const note = await (slash
      ? slash.command.run(talk, slash.text)
      : talk.reply((options) => talk.session.send(line, options)));
    if (note !== '') process.stderr.write(`${note}\n`);
  } catch (error) {
    if (!terminal) throw error;
    process.stderr.write(`ao: ${(error as Error).message}\n`);
  }
}

function checkTemplate(name: string, { chatTemplates }: Tokenizer, template: string | undefined): void {
  if (template !== undefined || Object.keys(chatTemplates).length > 0) return;
  throw new UsageError(
    `${name} has no chat template: it may not be a chat model. Give one with --template FILE (Jinja), or use ao generate.`,
  );
}

function chatOptions(o: Options, chatTemplate: string | undefined): ChatOptions {
  const given: Record<string, unknown> = {
    system: o.system,
    chatTemplate,
    contextLength: o.context,
    maxNewTokens: o.maxTokens,
    stopStrings: o.stop,
    kvCache: o.kvCache,
    promptLookupNumTokens: o.promptLookup,
    numAssistantTokens: o.assistantTokens,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
