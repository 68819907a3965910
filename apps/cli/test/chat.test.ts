import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addHistory, HISTORY_SIZE, historyFile, readHistory } from '../src/chat/input-history.ts';
import { start } from './run.ts';

let folder = '';
let template = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ao-chat-'));
  template = join(folder, 'template.jinja');
  await writeFile(template, '{% for m in messages %}{{ m.content }}\n{% endfor %}');
});
afterAll(() => rm(folder, { recursive: true }));

describe('what was typed', () => {
  test('lies where the environment says', () => {
    expect(historyFile({ AO_HOME: 'x', XDG_STATE_HOME: 'y' })).toBe(join('x', 'chat-history'));
    expect(historyFile({ XDG_STATE_HOME: 'y' })).toBe(join('y', 'ao', 'chat-history'));
    expect(historyFile({})).toMatch(/\.local.state.ao.chat-history$/);
  });

  test('comes back newest first, with the lines of others, the newest thousand', async () => {
    const file = join(folder, 'state', 'chat-history');
    expect(await readHistory(file)).toEqual([]);
    await addHistory(file, ['a', 'b']);
    await addHistory(file, ['c']);
    expect(await readHistory(file)).toEqual(['c', 'b', 'a']);
    await addHistory(
      file,
      Array.from({ length: HISTORY_SIZE - 1 }, (_, i) => `${i}`),
    );
    const all = await readHistory(file);
    expect([all.length, all[0], all.at(-1)]).toEqual([HISTORY_SIZE, `${HISTORY_SIZE - 2}`, 'c']);
  });
});

describe('ao chat, piped in', () => {
  const chat = (input: string, ...args: readonly string[]) =>
    start(['chat', 'stories-7m', '--template', template, '--temperature', '0', '--max-tokens', '8', ...args], {}, input)
      .ran;

  test('answers line by line; commands work; notes are on stderr', async () => {
    const saved = join(folder, 'saved.json');
    const input = `Once upon a time\nThe dog \\\nand the cat\n/stats\n/undo\n/history\n/save ${saved}\n`;
    const { code, stdout, stderr } = await chat(input, '--prompt-lookup', '3');
    expect(code).toBe(0);
    const json = JSON.parse(await readFile(saved, 'utf8')) as { messages: { content: string }[] };
    const [, reply] = json.messages;
    expect(json.messages).toHaveLength(2);
    expect(stdout.startsWith(`${reply!.content}\n`)).toBe(true);
    expect(stderr).toMatch(/prompt tokens held already +\d\d/);
    expect(stderr).toMatch(/drafts accepted +\d+ of \d+/);
    expect(stderr).toContain('taken back: The dog \nand the cat');
    expect(stderr).toContain(`user: Once upon a time\nassistant: ${reply!.content}\n`);

    const more = await chat('And then?\n', '--load', saved, '--json', '--assistant', 'stories-7m');
    expect(more.code).toBe(0);
    const { messages, turns } = JSON.parse(more.stdout) as { messages: unknown[]; turns: Record<string, unknown>[] };
    expect(messages).toHaveLength(4);
    expect(turns).toEqual([expect.objectContaining({ cachedTokens: 0, ids: expect.any(Array) })]);
    expect(turns[0]!['speculation']).toMatchObject({ acceptanceRate: 1 });
  });

  test('takes the sampling flags of generate', async () => {
    const { code, stdout } = await chat('Once upon a time\n', '--pattern', 'yes|no');
    expect(code).toBe(0);
    expect(['yes\n', 'no\n']).toContain(stdout);
  });

  test('says what is wrong with one line', async () => {
    const plain = await start(['chat', 'stories-7m'], {}, 'hi\n').ran;
    expect(plain).toMatchObject({ code: 2, stdout: '' });
    expect(plain.stderr).toBe(
      'ao: stories-7m has no chat template: it may not be a chat model. Give one with --template FILE (Jinja), or use ao generate.\n',
    );
    const cases: [number, RegExp, string, string[]][] = [
      [2, /there is no \/nope; \/help lists/, '/nope\n', []],
      [2, /give \/save FILE/, '/save\n', []],
      [2, /--template .*missing\.jinja cannot be read/, '', ['--template', join(folder, 'missing.jinja')]],
      [1, /contextLength is 900; |contextLength is 900\. /, 'hi\n', ['--context', '900']],
      [1, /is no saved chat|is not JSON/, '', ['--load', template]],
    ];
    for (const [code, message, input, args] of cases) {
      const ran = await chat(input, ...args);
      expect(ran.stderr).toMatch(message);
      expect(ran.code).toBe(code);
    }
  });
});
