import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LogMessage } from '@ao/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { autoRuntime } from '../src/auto-runtime.ts';
import type { ChatOptions } from '../src/chat/chat-options.ts';
import { ChatSession } from '../src/chat/chat-session.ts';
import { splitTurns } from '../src/chat/turns.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import type { KVCacheFormat } from '../src/models/cache-layout.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { AutoTokenizer } from '../src/tokenizer/auto-tokenizer.ts';
import type { ChatMessage } from '../src/tokenizer/chat-template.ts';
import type { Tokenizer } from '../src/tokenizer/tokenizer.ts';
import { STORIES } from './stories.ts';

const TEMPLATE =
  '{% for m in messages %}{{ m.role }}:\n{{ m.content }}{{ m.tool_calls | tojson if m.tool_calls }}<|end|>\n{% endfor %}' +
  '{% if tools %}{{ tools | tojson }}{% endif %}{% if add_generation_prompt %}assistant:\n{% endif %}';

const user = (content: string): ChatMessage => ({ role: 'user', content });
const assistant = (content: string): ChatMessage => ({ role: 'assistant', content });

test('turns begin with a user’s message', () => {
  const system: ChatMessage = { role: 'system', content: 's' };
  const tool: ChatMessage = { role: 'tool', content: '1' };
  expect(splitTurns([])).toEqual({ head: [], turns: [] });
  expect(splitTurns([system])).toEqual({ head: [system], turns: [] });
  expect(splitTurns([system, assistant('hello'), user('a'), assistant(''), tool, assistant('b'), user('c')])).toEqual({
    head: [system],
    turns: [[assistant('hello'), user('a'), assistant(''), tool, assistant('b')], [user('c')]],
  });
});

describe('a chat on stories-7m', () => {
  const said: LogMessage[] = [];
  let model: CausalLM;
  let tokenizer: Tokenizer;
  let folder = '';
  beforeAll(async () => {
    const runtime = await autoRuntime({ log: (message) => said.push(message) });
    model = await AutoModelForCausalLM.fromPretrained(STORIES, { runtime, dtype: 'float32' });
    tokenizer = await AutoTokenizer.fromPretrained(STORIES);
    folder = await mkdtemp(join(tmpdir(), 'ao-chat-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
    model.dispose();
    await model.rt.close();
  });

  const GREEDY = { chatTemplate: TEMPLATE, temperature: 0, maxNewTokens: 16 } as const;
  const open = (options: ChatOptions = {}): ChatSession => new ChatSession(model, tokenizer, { ...GREEDY, ...options });

  /** The reply to a conversation that is read from its beginning. */
  const fresh = async (
    messages: readonly ChatMessage[],
    { maxNewTokens = 16, kvCache = 'auto' as KVCacheFormat } = {},
  ) => {
    const text = await tokenizer.applyChatTemplate(messages, { chatTemplate: TEMPLATE });
    const ids = tokenizer.encode(text, { addSpecialTokens: false });
    return model.generate(ids, { tokenizer, temperature: 0, maxNewTokens, kvCache });
  };

  test('each turn is what the whole conversation gives, and reads only what is new', async () => {
    using chat = open({ system: 'You tell stories.' });
    expect(chat.system).toBe('You tell stories.');
    for (const [i, text] of ['A dog ran.', 'And the cat?', 'Why did the bird sing?'].entries()) {
      const before = chat.messages;
      const held = chat.cachedTokens;
      const run = chat.send(text);
      let streamed = '';
      for await (const piece of run) streamed += piece.text;
      const reply = await run;
      const whole = await fresh([...before, user(text)]);
      expect(reply).toMatchObject({ ids: whole.ids, text: whole.text, droppedTurns: 0 });
      expect(streamed).toBe(reply.text);
      expect(chat.messages).toEqual([...before, user(text), assistant(reply.text)]);
      expect(reply.cachedTokens + reply.prefilledTokens).toBe(whole.promptIds.length);
      if (i === 0) expect(reply.cachedTokens).toBe(0);
      // the reply is held but for its last id
      else expect(reply.cachedTokens).toBe(held);
    }
  });

  test('undo, regenerate, edit, reset and another system prompt', async () => {
    using chat = open();
    expect(chat.undo()).toEqual([]);
    await expect(chat.regenerate()).rejects.toThrow(/no reply to write anew/);
    await chat.send('One day');
    const first = chat.messages;
    await chat.send('What then?');
    const second = chat.messages;
    const again = await chat.regenerate({ temperature: 1, seed: 11 });
    expect(again.prefilledTokens).toBe(1);
    expect(chat.messages).toEqual([...first, user('What then?'), assistant(again.text)]);
    expect(chat.messages).not.toEqual(second);
    await chat.regenerate();
    expect(chat.messages).toEqual(second);
    const edited = await chat.edit('Who came?');
    expect(edited.ids).toEqual((await fresh([...first, user('Who came?')])).ids);
    expect(chat.undo()).toEqual([user('Who came?'), edited.message]);
    expect(chat.messages).toEqual(first);
    chat.system = 'Be kind.';
    const kind = await chat.send('What then?');
    expect(kind.ids).toEqual(
      (await fresh([{ role: 'system', content: 'Be kind.' }, ...first, user('What then?')])).ids,
    );
    chat.reset();
    expect(chat.messages).toEqual([{ role: 'system', content: 'Be kind.' }]);
    chat.system = undefined;
    expect(chat.messages).toEqual([]);
  });

  test('tools reach the template, calls and results are messages', async () => {
    const tools = [{ type: 'function', function: { name: 'clock', parameters: {} } }];
    const call = { type: 'function', function: { name: 'clock', arguments: {} } };
    using chat = open({
      tools,
      parseReply: (text) => ({ role: 'assistant', content: text, tool_calls: [call] }),
    });
    const first = await chat.send('What time is it?');
    expect(tokenizer.decode(first.promptIds)).toContain('"clock"');
    expect(first.message).toEqual({ role: 'assistant', content: first.text, tool_calls: [call] });
    const result = { role: 'tool', name: 'clock', content: '12:00' };
    const second = await chat.send(result);
    expect(tokenizer.decode(second.promptIds)).toContain('tool:\n12:00');
    expect(tokenizer.decode(second.promptIds)).toContain(JSON.stringify(call.function).slice(1, 8));
    expect(chat.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant']);
    expect(chat.undo()).toHaveLength(4);
  });

  test('an aborted turn leaves no trace, or what was written; the chat goes on', async () => {
    for (const abortedReply of ['discard', 'keep'] as const) {
      using chat = open({ abortedReply });
      await chat.send('One day');
      const before = chat.messages;
      const controller = new AbortController();
      let written = '';
      const stopped = async (): Promise<void> => {
        for await (const { text } of chat.send('What then?', { signal: controller.signal })) {
          written += text;
          if (written.length > 8) controller.abort();
        }
      };
      await expect(stopped()).rejects.toThrow(/abort/i);
      const kept = abortedReply === 'keep' ? [user('What then?'), assistant(written)] : [];
      expect(chat.messages).toEqual([...before, ...kept]);
      const next = await chat.send('And?');
      expect(next.ids).toEqual((await fresh([...before, ...kept, user('And?')])).ids);
      // a reader that leaves is an abort too
      const all = chat.messages;
      for await (const _ of chat.send('Then')) break;
      expect(chat.messages.length).toBeGreaterThanOrEqual(all.length);
      await expect(chat.send('x', { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
    }
  });

  test('one turn at a time, and none after dispose', async () => {
    const chat = open();
    const seen: string[] = [];
    for await (const { text } of chat.send('One day')) {
      if (seen.push(text) > 1) continue;
      await expect(chat.send('x')).rejects.toThrow(/send while a turn is running/);
      expect(() => chat.undo()).toThrow(/undo while a turn is running/);
      expect(() => chat.dispose()).toThrow(/dispose while a turn is running/);
    }
    expect(chat.messages).toHaveLength(2);
    chat.dispose();
    await expect(chat.send('x')).rejects.toThrow(/after dispose/);
  });

  test('speculation and a draft’s keys and values stay between turns', async () => {
    using plain = open();
    using fast = open({ promptLookupNumTokens: 4 });
    using drafted = open({ assistantModel: model });
    for (const text of ['A dog ran and ran.', 'The dog ran and', 'The dog']) {
      const { ids } = await plain.send(text);
      expect((await fast.send(text)).ids).toEqual(ids);
      const reply = await drafted.send(text);
      expect(reply.ids).toEqual(ids);
      expect(reply.speculation).toMatchObject({ acceptanceRate: 1 });
    }
  });

  test('a full context is an error that names what is used and the limit, or shifts', async () => {
    const long = 'The dog ran to the park and played with the ball. ';
    const system = 'Tell stories.';
    using strict = open({ contextLength: 90, system });
    await strict.send(long);
    await strict.send(long);
    const before = strict.messages;
    await expect(strict.send(long + long)).rejects.toThrow(
      /the conversation has \d+ tokens, the context 90: .*'shift'/,
    );
    expect(strict.messages).toEqual(before);

    for (const contextLength of [1, 2.5, 513]) expect(() => open({ contextLength })).toThrow(/2 to the model's 512/);
    expect(() => open({ contextOverflow: 'drop' as 'shift' })).toThrow(/contextOverflow is "drop"/);
  });

  test.each(['auto', 'int8', 'int4'] as const)('a full context shifts, keys and values in %s', async (kvCache) => {
    const long = 'The dog ran to the park and played with the ball. ';
    using chat = open({ contextLength: 90, contextOverflow: 'shift', system: 'Tell stories.', kvCache });
    let dropped = 0;
    for (let i = 0; i < (kvCache === 'auto' ? 6 : 4); i++) {
      const reply = await chat.send(long);
      expect(reply.promptIds.length + GREEDY.maxNewTokens).toBeLessThanOrEqual(90);
      expect(reply.droppedTurns).toBeGreaterThanOrEqual(dropped);
      dropped = reply.droppedTurns;
      const shown = [chat.messages[0]!, ...chat.messages.slice(1 + 2 * dropped, -1)];
      expect(reply.ids).toEqual((await fresh(shown, { kvCache })).ids);
    }
    expect(dropped).toBeGreaterThan(kvCache === 'auto' ? 2 : 1);
    expect(chat.messages).toHaveLength(kvCache === 'auto' ? 13 : 9);
    await expect(chat.send(long.repeat(9))).rejects.toThrow(/the last turn alone has \d+ tokens, the context 90/);
  });

  test('a restored chat goes on as the saved one, from text or from its keys and values', async () => {
    using chat = open({
      system: 'Be brief.',
      contextOverflow: 'shift',
      seed: 3,
      parseReply: assistant,
      promptLookupNumTokens: 2,
    });
    await chat.send('One day');
    await chat.send('What then?');
    const text = join(folder, 'text.json');
    const whole = join(folder, 'whole.json');
    await chat.save(text);
    await chat.save(whole, { cache: true });
    expect((await readdir(folder)).sort()).toEqual(['text.json', 'whole.json', 'whole.json.safetensors']);
    const held = chat.cachedTokens;
    const { messages } = chat;
    const { ids } = await chat.send('And then?');
    for (const [file, cachedTokens] of [
      [text, 0],
      [whole, held],
    ] as const) {
      using restored = await ChatSession.restore(file, model, tokenizer);
      expect(restored.messages).toEqual(messages);
      expect(restored.options).toMatchObject({ ...GREEDY, contextOverflow: 'shift', seed: 3 });
      expect(Object.keys(restored.options)).not.toContain('parseReply');
      expect(Object.keys(restored.options)).not.toContain('promptLookupNumTokens');
      expect(await restored.send('And then?')).toMatchObject({ ids, cachedTokens });
    }
    using other = await ChatSession.restore(whole, model, tokenizer, { temperature: 0.9 });
    expect(other.options).toMatchObject({ temperature: 0.9, seed: 3 });
  });

  test('another model’s keys and values are not used, and files that are no chats refused', async () => {
    using chat = open();
    await chat.send('One day');
    const file = join(folder, 'other.json');
    await chat.save(file, { cache: true });
    const runtime = await autoRuntime({ log: (message) => said.push(message) });
    const narrow = await AutoModelForCausalLM.fromPretrained(STORIES, { runtime, dtype: 'bfloat16' });
    using restored = await ChatSession.restore(file, narrow, tokenizer);
    expect(said.at(-1)?.message).toMatch(/other\.json\.safetensors was made by another model/);
    expect(await restored.send('And?')).toMatchObject({ cachedTokens: 0 });
    narrow.dispose();
    await runtime.close();
    await rm(`${file}.safetensors`);
    (await ChatSession.restore(file, model, tokenizer)).dispose();
    expect(said.at(-1)?.message).toMatch(/is not there/);
    const saved = JSON.parse(await readFile(file, 'utf8')) as object;
    for (const [content, message] of [
      ['{', /is not JSON/],
      ['[]', /is no saved chat/],
      [JSON.stringify({ ...saved, version: 9 }), /has version 9/],
      [JSON.stringify({ ...saved, messages: [{ role: 'user' }, {}] }), /message 1 has no role/],
      [JSON.stringify({ ...saved, dropped: -1 }), /dropped is -1/],
    ] as const) {
      await writeFile(file, content);
      await expect(ChatSession.restore(file, model, tokenizer)).rejects.toThrow(message);
    }
    await expect(ChatSession.restore(join(folder, 'none.json'), model, tokenizer)).rejects.toThrow(/cannot be read/);
  });
});
