// What people see in a terminal: a chat with its keys, and progress bars. Typed by tmux.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { noTerminal, Terminal } from './tmux.ts';

const reason = noTerminal();
if (reason !== undefined) console.warn(`skipped: ${reason}`);

describe.skipIf(reason !== undefined)('in a terminal', () => {
  let folder = '';
  let args: string[] = [];
  const open: Terminal[] = [];
  const start = async (...given: Parameters<typeof Terminal.start>): Promise<Terminal> => {
    const terminal = await Terminal.start(...given);
    open.push(terminal);
    return terminal;
  };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ao-terminal-'));
    const template = join(folder, 'template.jinja');
    await writeFile(template, '{% for m in messages %}{{ m.content }}\n{% endfor %}');
    args = ['chat', 'stories-7m', '--template', template, '--temperature', '0', '--max-tokens', '12'];
  });
  afterAll(async () => {
    for (const terminal of open) await terminal.close();
    await rm(folder, { recursive: true });
  });

  test('a chat: replies, commands, completion, and what was typed is there in the next run', async () => {
    const env = { AO_HOME: join(folder, 'home') };
    const first = await start(args, env);
    await first.until(/^>$/m);
    await first.enter('Once upon a time');
    // twelve tokens, so the reply is cut off and says so
    const screen = await first.until(/cut off[\s\S]*^>$/m);
    expect(screen).toMatch(/^> Once upon a time\n\s*\S.{10,}/m);
    await first.type('/he');
    await first.press('Tab');
    await first.until(/^> \/help$/m);
    await first.press('Enter');
    expect(await first.until(/Ctrl-C stops a reply/)).toMatch(/\/save FILE +write the conversation/);
    await first.enter('/frobnicate');
    await first.until(/there is no \/frobnicate; \/help lists/);
    await first.enter('/system Be kind.');
    await first.until(/^Be kind\.$/m);
    await first.enter(`/save ${join(folder, 'chat.json')}`);
    await first.until(/saved 3 messages/);
    await first.enter('/undo');
    await first.until(/taken back: Once upon a time/);
    await first.enter('/exit');
    expect(await first.ended()).toBe(0);
    const { messages } = JSON.parse(await readFile(join(folder, 'chat.json'), 'utf8')) as {
      messages: { role: string }[];
    };
    expect(messages.map(({ role }) => role)).toEqual(['system', 'user', 'assistant']);

    const second = await start([...args, '--load', join(folder, 'chat.json')], env);
    await second.until(/^>$/m);
    await second.press('Up', 'Up');
    await second.until(/^> \/undo$/m);
    await second.press('C-c');
    await second.until(/Ctrl-C again/);
    await second.enter('/history');
    await second.until(/system: Be kind\.\nuser: Once upon a time\nassistant:/);
    await second.press('C-d');
    expect(await second.ended()).toBe(0);
  });

  test('Ctrl-C stops the reply, the next one leaves', async () => {
    // on the slow backend, so that there is time to stop it
    const chat = await start([...args.slice(0, -1), '400', '--device', 'reference'], {
      AO_HOME: join(folder, 'home2'),
    });
    await chat.until(/^>$/m);
    await chat.enter('One day');
    await chat.until(/^> One day\n\s*\S.{10,}/m);
    await chat.press('C-c');
    await chat.until(/\(stopped\)[\s\S]*^>$/m);
    await chat.enter('/history');
    // what was written stays
    await chat.until(/user: One day\nassistant:\s*\S.{10,}/);
    await chat.press('C-c');
    await chat.until(/Ctrl-C again/);
    await chat.press('C-c');
    expect(await chat.ended()).toBe(130);
  });

  test('a progress bar comes, moves and goes', async () => {
    // on the slow backend, so that it is seen
    const out = join(folder, 'quantized');
    const bar = await start(['quantize', 'stories-7m', '--scheme', 'int4wo-32', '-o', out], { AO_NATIVE: '0' });
    const percents = new Set<string>();
    while (percents.size < 3) percents.add(/(\d+)%/.exec(await bar.until(/\w+ \S*█\S* \d+%/))![1]!);
    await bar.press('C-c');
    expect(await bar.ended()).toBe(130);
    expect(await bar.screen()).not.toMatch(/█/);
  });
});
