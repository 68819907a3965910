// Several prompts decoded together: each gives what it gives alone, whatever its length and whenever others end.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { autoRuntime } from '../src/auto-runtime.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import type { GenerationResult } from '../src/generate/generation.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { AutoTokenizer } from '../src/tokenizer/auto-tokenizer.ts';
import type { Tokenizer } from '../src/tokenizer/tokenizer.ts';
import { STORIES } from './stories.ts';

const PROMPTS = [
  'Once upon a time',
  'Lily wanted to play outside, but it was raining and her mother said that she must stay in the house. She',
  'A',
  'The dog ran',
];

/** What does not depend on speed. */
const text = ({ promptIds, ids, text, finishReason }: GenerationResult) => ({ promptIds, ids, text, finishReason });

describe('several prompts at once', () => {
  let model: CausalLM;
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    model = await AutoModelForCausalLM.fromPretrained(STORIES, { runtime: await autoRuntime(), dtype: 'float32' });
    tokenizer = await AutoTokenizer.fromPretrained(STORIES);
  });
  afterAll(() => model.rt.close());

  const alone = async (options: object): Promise<GenerationResult[]> => {
    const results: GenerationResult[] = [];
    for (const prompt of PROMPTS) results.push(await model.generate(prompt, { tokenizer, ...options }));
    return results;
  };

  test.each(['static', 'dynamic'] as const)('greedy, %s', async (cacheImplementation) => {
    const options = { maxNewTokens: 12, cacheImplementation };
    const together = await model.generate(PROMPTS, { tokenizer, ...options });
    expect(together.map(text)).toEqual((await alone(options)).map(text));
    expect(new Set(together.map((r) => r.text)).size).toBe(PROMPTS.length);
  });

  test('over a cache of bfloat16', async () => {
    const options = { maxNewTokens: 12, kvCache: 'bf16' } as const;
    const together = await model.generate(PROMPTS, { tokenizer, ...options });
    expect(together.map(text)).toEqual((await alone(options)).map(text));
  });

  test('one ends at its end id while the others go on', async () => {
    const free = await alone({ maxNewTokens: 12 });
    const eosTokenId = free[1]!.ids[3]!;
    const options = { maxNewTokens: 12, eosTokenId };
    const together = await model.generate(PROMPTS, { tokenizer, ...options });
    expect(together.map(text)).toEqual((await alone(options)).map(text));
    expect(together[1]).toMatchObject({ finishReason: 'stop', ids: free[1]!.ids.slice(0, 4) });
    expect(together.some((r) => r.ids.length === 12)).toBe(true);
  });

  test('stop strings end each sequence by itself', async () => {
    const free = await alone({ maxNewTokens: 12 });
    const options = { maxNewTokens: 12, stopStrings: [free[0]!.text.slice(4, 9)] };
    const together = await model.generate(PROMPTS, { tokenizer, ...options });
    expect(together.map(text)).toEqual((await alone(options)).map(text));
    expect(together[0]).toMatchObject({ finishReason: 'stop', text: free[0]!.text.slice(0, 4) });
  });

  test('several stop strings that begin and end inside tokens, in a batch', async () => {
    const free = await alone({ maxNewTokens: 12 });
    // the last letters of one token and the first of the next
    const stopStrings = free.slice(0, 3).map(({ ids }) => {
      const [a, b] = [tokenizer.decode([ids[2]!]), tokenizer.decode([ids[3]!])];
      return a.slice(-2) + b.slice(0, Math.max(b.length - 1, 1));
    });
    const options = { maxNewTokens: 12, stopStrings };
    const together = await model.generate(PROMPTS, { tokenizer, ...options });
    expect(together.map(text)).toEqual((await alone(options)).map(text));
    for (const [i, { text, finishReason }] of together.entries()) {
      const ends = stopStrings.map((s) => free[i]!.text.indexOf(s)).filter((at) => at >= 0);
      expect(text).toBe(ends.length === 0 ? free[i]!.text : free[i]!.text.slice(0, Math.min(...ends)));
      if (i < 3) expect(finishReason).toBe('stop');
    }
  });

  test('sequence i draws as it does alone with seed + i', async () => {
    const options = { tokenizer, maxNewTokens: 10, temperature: 0.9, topK: 40 };
    const together = await model.generate(PROMPTS, { ...options, seed: 11 });
    for (const [i, prompt] of PROMPTS.entries())
      expect(text(together[i]!)).toEqual(text(await model.generate(prompt, { ...options, seed: 11 + i })));
    const same = await model.generate([PROMPTS[0]!, PROMPTS[0]!], { ...options, seed: 11 });
    expect(same[0]!.ids).not.toEqual(same[1]!.ids);
  });

  test('a sequence at the end of the context ends; the others go on', async () => {
    const long = Array.from({ length: model.maxPositions - 3 }, (_, i) => 5 + (i % 90));
    const [first, second] = await model.generate([long, tokenizer.encode('The cat')], {
      maxNewTokens: 9,
      ignoreEos: true,
    });
    expect(first!.ids.length).toBe(3);
    expect(text(second!)).toEqual(
      text(await model.generate(tokenizer.encode('The cat'), { maxNewTokens: 9, ignoreEos: true })),
    );
  });

  test('pieces say whose they are', async () => {
    const run = model.generate(PROMPTS, { tokenizer, maxNewTokens: 6 });
    const texts = PROMPTS.map(() => '');
    for await (const { sequence, text } of run) texts[sequence] += text;
    expect(texts).toEqual((await run).map((r) => r.text));
  });

  test('a wrong prompt is refused by its number', () => {
    expect(() => model.generate([[1, 2], [4096]])).toThrow(/id 4096 is not in the vocabulary of 4096 \(prompt 1\)/);
    expect(() => model.generate([[1, 2], []])).toThrow(/prompt 1 has no tokens/);
  });
});
