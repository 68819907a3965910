// Three turns on SmolLM2-135M-Instruct are transformers' (fixtures/chat.py), the later ones reading only what is new; and drafts
// change nothing. The model is optional: it lies under $AO_CACHE (default .cache/ao-peers in the home folder).
import { readFileSync } from 'node:fs';
import { parseScheme } from '@ao/quantization';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ChatSession } from '../src/chat/chat-session.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { torchAoConfig } from '../src/quantize/torchao-config.ts';
import { AutoTokenizer } from '../src/tokenizer/auto-tokenizer.ts';
import type { Tokenizer } from '../src/tokenizer/tokenizer.ts';
import { optionalModel } from './optional-model.ts';

const { folder, runtime, reason } = await optionalModel('smollm2');

const fixture = JSON.parse(readFileSync(new URL('./fixtures/smollm2-chat.json', import.meta.url), 'utf8')) as {
  max_new_tokens: number;
  turns: readonly { user: string; prompt_ids: number[]; ids: number[]; text: string }[];
};

describe.skipIf(reason !== undefined)('SmolLM2-135M-Instruct', () => {
  let model: CausalLM;
  let draft: CausalLM;
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    model = await AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'float32' });
    const quantizationConfig = torchAoConfig(parseScheme('int4wo-32'));
    draft = await AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'float32', quantizationConfig });
    tokenizer = await AutoTokenizer.fromPretrained(folder);
  });
  afterAll(() => {
    draft.dispose();
    model.dispose();
  });

  test('three chat turns are transformers’, and the later ones read only what is new', async () => {
    using chat = new ChatSession(model, tokenizer, { temperature: 0, maxNewTokens: fixture.max_new_tokens });
    let before: number[] = [];
    const told: string[] = [];
    for (const [i, { user, prompt_ids, ids, text }] of fixture.turns.entries()) {
      const reply = await chat.send(user);
      expect(reply).toMatchObject({ promptIds: prompt_ids, ids, text });
      // <|im_end|> ended the reply before: it was chosen, not read
      expect(reply.cachedTokens).toBe(Math.max(0, before.length - 1));
      expect(reply.prefilledTokens).toBe(prompt_ids.length - reply.cachedTokens);
      told.push(`turn ${i + 1} reads ${reply.prefilledTokens} of ${prompt_ids.length} tokens`);
      before = [...prompt_ids, ...ids];
    }
    console.log(told.join(', '));
    expect(told[1]).toBe('turn 2 reads 17 of 61 tokens');
  });

  test('drafts by lookup and by the int4 model change no token, greedy or drawn', async () => {
    const texts = ['Write this list again, twice: apple, pear, plum, cherry.', 'What is a prime number?'];
    for (const [i, content] of texts.entries()) {
      const [target, assistantModel] = i === 0 ? [draft, model] : [model, draft];
      const prompt = tokenizer.encode(await tokenizer.applyChatTemplate([{ role: 'user', content }]), {
        addSpecialTokens: false,
      });
      for (const input of [
        { maxNewTokens: 32, temperature: 0 },
        { maxNewTokens: 16, temperature: 0.7, topK: 40, seed: 9 },
      ]) {
        const { ids } = await target.generate(prompt, input);
        expect((await target.generate(prompt, { ...input, promptLookupNumTokens: 3 })).ids).toEqual(ids);
        expect((await target.generate(prompt, { ...input, assistantModel })).ids).toEqual(ids);
      }
    }
  });
});
