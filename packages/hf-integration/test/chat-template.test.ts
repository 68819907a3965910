// Chat templates in the manner of those that models come with, rendered as transformers renders them (fixtures/chat.py).

import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { AutoTokenizer } from '../src/tokenizer/auto-tokenizer.ts';
import { type ChatMessage, type ChatTool, renderChat } from '../src/tokenizer/chat-template.ts';
import { readChatTemplates } from '../src/tokenizer/read-chat-templates.ts';
import { STORIES } from './stories.ts';

interface Case {
  readonly template: string;
  readonly chat: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly text?: string;
  readonly error?: string;
}

const at = (name: string): URL => new URL(`./fixtures/${name}`, import.meta.url);
const { date, tool, chats, cases } = JSON.parse(readFileSync(at('chat-templates.json'), 'utf8')) as {
  date: string;
  tool: ChatTool;
  chats: Record<string, readonly ChatMessage[]>;
  cases: readonly Case[];
};

afterEach(() => vi.useRealTimers());

describe('as transformers renders it', () => {
  test.each([...new Set(cases.map((c) => c.template))])('%s', async (file) => {
    vi.useFakeTimers({ now: new Date(date), toFake: ['Date'] });
    const template = readFileSync(at(`chat-templates/${file}`), 'utf8');
    for (const { chat, options, text, error } of cases.filter((c) => c.template === file)) {
      const values = { bos_token: '<s>', eos_token: '</s>', tools: null, add_generation_prompt: true, ...options };
      const rendered = renderChat(template, chats[chat]!, values);
      const name = `${chat} ${JSON.stringify(options)}`;
      if (text === undefined) await expect(rendered, name).rejects.toThrow(/the chat template failed/);
      else expect(await rendered, name).toBe(text);
      if (error?.endsWith('!')) await expect(rendered, name).rejects.toThrow(error);
    }
  });
});

describe('a tokenizer’s templates', () => {
  const messages = [{ role: 'user', content: 'hi' }];

  test('come from files first, by name', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ao-templates-'));
    try {
      const config = {
        chat_template: [
          { name: 'default', template: 'a' },
          { name: 'rag', template: 'b' },
        ],
      };
      expect(await readChatTemplates(folder, config)).toEqual({ default: 'a', rag: 'b' });
      expect(await readChatTemplates(folder, {})).toEqual({});
      await writeFile(join(folder, 'chat_template.json'), JSON.stringify({ chat_template: 'c' }));
      expect(await readChatTemplates(folder, config)).toEqual({ default: 'c', rag: 'b' });
      await writeFile(join(folder, 'chat_template.jinja'), 'd');
      await mkdir(join(folder, 'additional_chat_templates'));
      await writeFile(join(folder, 'additional_chat_templates', 'tool_use.jinja'), 'e');
      expect(await readChatTemplates(folder, { chat_template: 'x' })).toEqual({ default: 'd', tool_use: 'e' });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('are chosen by name, by tools, or given', async () => {
    const tokenizer = await AutoTokenizer.fromPretrained(STORIES);
    await expect(tokenizer.applyChatTemplate(messages)).rejects.toThrow(/no chat template.*chatTemplate/s);
    const own = '{{ eos_token }}{{ messages[0].content }}{% if tools is none %} none{% endif %}{{ extra }}';
    expect(await tokenizer.applyChatTemplate(messages, { chatTemplate: own, chatTemplateKwargs: { extra: '+' } })).toBe(
      '<|end|>hi none+',
    );
    Object.assign(tokenizer, { chatTemplates: { tool_use: 'T{{ tools | tojson }}', rag: 'R' } });
    expect(await tokenizer.applyChatTemplate(messages, { tools: [tool] })).toContain('"get_weather"');
    expect(await tokenizer.applyChatTemplate(messages, { chatTemplate: 'rag' })).toBe('R');
    await expect(tokenizer.applyChatTemplate(messages)).rejects.toThrow(/none of the chat templates .* tool_use, rag/);
  });
});
