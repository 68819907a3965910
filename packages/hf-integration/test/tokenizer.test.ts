import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AutoTokenizer } from '../src/tokenizer/auto-tokenizer.ts';
import { STORIES, storiesReference, storiesText } from './stories.ts';

test('encode and decode are inverse on the validation text', async () => {
  const tokenizer = await AutoTokenizer.fromPretrained(STORIES);
  const text = storiesText().slice(0, 20000);
  expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
});

test('special tokens: known by id, skipped on request', async () => {
  const tokenizer = await AutoTokenizer.fromPretrained(STORIES);
  expect(tokenizer.bosTokenId).toBe(0);
  expect(tokenizer.eosTokenId).toBe(0);
  const ids = [...storiesReference().greedy.prompt];
  expect(ids[0]).toBe(0);
  expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(`<|end|>${tokenizer.decode(ids)}`);
  expect(tokenizer.encode(`<|end|>${tokenizer.decode(ids)}`)).toEqual(ids);
});

test('a chat template is rendered with the model’s own tokens', async () => {
  const tokenizer = await AutoTokenizer.fromPretrained(STORIES);
  const chatTemplate =
    "{% for m in messages %}{{ '<' + m.role + '>' + m.content }}{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}{{ eos_token }}";
  const messages = [{ role: 'user', content: 'hi' }];
  expect(await tokenizer.applyChatTemplate(messages, { chatTemplate })).toBe('<user>hi<bot><|end|>');
  expect(await tokenizer.applyChatTemplate(messages, { chatTemplate, addGenerationPrompt: false })).toBe(
    '<user>hi<|end|>',
  );
  await expect(tokenizer.applyChatTemplate(messages)).rejects.toMatchObject({ code: 'ERR_AO_CONFIG' });
  const refusing = "{{ raise_exception('only one user') }}";
  await expect(tokenizer.applyChatTemplate(messages, { chatTemplate: refusing })).rejects.toThrow(/only one user/);
});

test('a folder without a tokenizer, and a broken one, are errors that name the file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ao-'));
  try {
    await expect(AutoTokenizer.fromPretrained(folder)).rejects.toThrow(/tokenizer\.json does not exist/);
    await writeFile(join(folder, 'tokenizer.json'), '{"version": ');
    await expect(AutoTokenizer.fromPretrained(folder)).rejects.toThrow(/tokenizer\.json is not JSON/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
