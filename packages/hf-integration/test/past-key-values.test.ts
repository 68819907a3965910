import { createRuntime } from '@ao/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { autoRuntime } from '../src/auto-runtime.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import { commonPrefix, PastKeyValues } from '../src/generate/past-key-values.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { STORIES, storiesReference } from './stories.ts';

const { prompt, tokens } = storiesReference().greedy;

test('the common beginning of two texts', () => {
  expect(commonPrefix([], [1])).toBe(0);
  expect(commonPrefix([1, 2, 3], [1, 2])).toBe(2);
  expect(commonPrefix([1, 2, 3], [1, 9, 3])).toBe(1);
});

describe('generations that share keys and values', () => {
  let model: CausalLM;
  beforeAll(async () => {
    model = await AutoModelForCausalLM.fromPretrained(STORIES, { runtime: await autoRuntime(), dtype: 'float32' });
  });
  afterAll(async () => {
    model.dispose();
    await model.rt.close();
  });

  const alone = async (ids: readonly number[], maxNewTokens: number) =>
    (await model.generate(ids, { maxNewTokens, temperature: 0, ignoreEos: true })).ids;

  test('read only what is new, and choose what they choose alone', async () => {
    using past = new PastKeyValues(model);
    const input = { pastKeyValues: past, temperature: 0, ignoreEos: true } as const;
    const first = await model.generate(prompt, { ...input, maxNewTokens: 10 });
    expect(first).toMatchObject({ ids: tokens.slice(0, 10), cachedTokens: 0, prefilledTokens: prompt.length });
    expect(past.ids).toEqual([...prompt, ...tokens.slice(0, 9)]);
    // it goes on, so that the cache grows
    const longer = [...prompt, ...first.ids, 5, 6, 7];
    const second = await model.generate(longer, { ...input, maxNewTokens: 100 });
    expect(second).toMatchObject({ cachedTokens: prompt.length + 9, prefilledTokens: 4 });
    expect(second.ids).toEqual(await alone(longer, 100));
    // the same again: its last id is read for what follows
    const again = await model.generate(longer, { ...input, maxNewTokens: 3 });
    expect(again).toMatchObject({ ids: second.ids.slice(0, 3), prefilledTokens: 1 });
    // another way from the middle
    const turned = [...prompt.slice(0, 2), 9, 8];
    const third = await model.generate(turned, { ...input, maxNewTokens: 20 });
    expect(third).toMatchObject({ ids: await alone(turned, 20), cachedTokens: 2 });
    // a draw after it is the draw without it
    const drawn = { temperature: 0.9, seed: 3, maxNewTokens: 12 };
    expect((await model.generate(longer, { ...drawn, pastKeyValues: past })).ids).toEqual(
      (await model.generate(longer, drawn)).ids,
    );
  });

  test('an abort and a reader that leaves keep what was read; another cache dtype begins anew', async () => {
    using past = new PastKeyValues(model);
    const input = { pastKeyValues: past, temperature: 0 } as const;
    const controller = new AbortController();
    const left = async (): Promise<void> => {
      let n = 0;
      for await (const _ of model.generate(prompt, { ...input, signal: controller.signal }))
        if (++n === 4) controller.abort();
    };
    await expect(left()).rejects.toThrow(/abort/i);
    expect(past.ids).toEqual([...prompt, ...tokens.slice(0, 3)]);
    for await (const _ of model.generate([...prompt, ...tokens.slice(0, 6)], input)) break;
    expect(past.ids).toEqual([...prompt, ...tokens.slice(0, 6)]);
    const aborted = AbortSignal.abort();
    await expect(model.generate(prompt, { ...input, signal: aborted })).rejects.toThrow(/abort/i);
    const next = await model.generate(prompt, { ...input, maxNewTokens: 6 });
    expect(next).toMatchObject({ ids: tokens.slice(0, 6), prefilledTokens: 1 });
    const narrow = await model.generate(prompt, { ...input, maxNewTokens: 2, kvCache: 'bf16' });
    expect(narrow).toMatchObject({ cachedTokens: 0 });
  });

  test('are for one text and one model at a time', async () => {
    using past = new PastKeyValues(model);
    expect(() => model.generate([prompt, prompt], { pastKeyValues: past })).toThrow(/for one prompt/);
    const runtime = await createRuntime();
    const other = await AutoModelForCausalLM.fromPretrained(STORIES, { runtime });
    expect(() => other.generate(prompt, { pastKeyValues: past })).toThrow(/another model/);
    other.dispose();
    await runtime.close();
    const run = model.generate(prompt, { pastKeyValues: past, maxNewTokens: 8 });
    const seen: number[] = [];
    for await (const { id } of run) {
      if (seen.push(id) === 1)
        await expect(model.generate(prompt, { pastKeyValues: past })).rejects.toThrow(/another generation is using/);
    }
    expect(seen).toEqual(tokens.slice(0, 8));
  });
});
