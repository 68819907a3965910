import { createRuntime } from '@ao/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluate } from '../src/evaluate.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { AutoTokenizer } from '../src/tokenizer/auto-tokenizer.ts';
import { STORIES, storiesReference, storiesText } from './stories.ts';

const reference = storiesReference();
const { prompt, tokens } = reference.greedy;

describe('stories-7m in float32 on the reference backend', () => {
  let model: CausalLM;
  beforeAll(async () => {
    const runtime = await createRuntime();
    model = await AutoModelForCausalLM.fromPretrained(STORIES, { runtime, dtype: 'float32' });
  });
  afterAll(() => model.dispose());

  test('logits are torch’s within 1e-4', async () => {
    const { arange, int32, scope, tensor } = await import('@ao/core');
    using cache = model.createCache(prompt.length);
    const logits = scope(() =>
      model.call(tensor(model.rt, [[...prompt]], { dtype: int32 }), {
        cache,
        positions: arange(model.rt, 0, prompt.length),
      }),
    );
    const last = (await logits.data()).slice(-model.vocabSize);
    const { top20_ids: ids, top20_logits: values } = reference.greedy;
    for (const [i, id] of ids.entries()) expect(Math.abs(last[id]! - values[i]!)).toBeLessThan(1e-4);
    expect(Math.max(...last)).toBe(last[ids[0]!]);
  });

  test('48 greedy tokens are torch’s, and the same pieces come by iterating', async () => {
    const tokenizer = await AutoTokenizer.fromPretrained(STORIES);
    const run = model.generate(prompt, { maxNewTokens: 48, tokenizer });
    const ids: number[] = [];
    let text = '';
    for await (const piece of run) {
      ids.push(piece.id);
      text += piece.text;
    }
    expect(ids).toEqual(tokens);
    const result = await run;
    expect(result).toMatchObject({ ids, text, finishReason: 'length' });
    expect(text).toBe(tokenizer.decode(ids));
  });

  test('captured and eager steps choose the same tokens', async () => {
    const eager = await model.generate(prompt, {
      maxNewTokens: 12,
      cacheImplementation: 'dynamic',
      temperature: 0.8,
      seed: 7,
    });
    const captured = await model.generate(prompt, { maxNewTokens: 12, temperature: 0.8, seed: 7 });
    const other = await model.generate(prompt, { maxNewTokens: 12, temperature: 0.8, seed: 8 });
    expect(captured.ids).toEqual(eager.ids);
    expect(other.ids).not.toEqual(eager.ids);
  });

  test('ends at an end id, at a stop string, at an abort', async () => {
    const tokenizer = await AutoTokenizer.fromPretrained(STORIES);
    const third = tokens[2]!;
    const atId = await model.generate(prompt, { maxNewTokens: 9, eosTokenId: third });
    expect(atId).toMatchObject({ ids: tokens.slice(0, 3), finishReason: 'stop' });
    const whole = tokenizer.decode(tokens.slice(0, 9));
    const stop = whole.slice(9, 14);
    const atString = await model.generate(prompt, { maxNewTokens: 9, tokenizer, stopStrings: [stop] });
    expect(atString.text).toBe(whole.slice(0, whole.indexOf(stop)));
    expect(atString.finishReason).toBe('stop');
    const controller = new AbortController();
    const seen: number[] = [];
    const aborted = async (): Promise<void> => {
      for await (const { id } of model.generate(prompt, { signal: controller.signal })) {
        seen.push(id);
        if (seen.length === 3) controller.abort();
      }
    };
    await expect(aborted()).rejects.toThrow(/abort/i);
    expect(seen).toEqual(tokens.slice(0, 3));
  });

  test('wrong prompts are refused before any work', () => {
    expect(() => model.generate([])).toThrow(/no tokens/);
    expect(() => model.generate([4096])).toThrow(/id 4096 is not in the vocabulary/);
    expect(() => model.generate('text')).toThrow(/without a tokenizer/);
    expect(() => model.generate(Array.from({ length: 512 }, () => 1))).toThrow(/512 positions/);
  });

  test('cross entropy of the first 64 tokens is torch’s', async () => {
    const tokenizer = await AutoTokenizer.fromPretrained(STORIES);
    const ids = [0, ...tokenizer.encode(storiesText().slice(0, 2000))];
    const { crossEntropy, tokens: n } = await evaluate(model, ids, { window: 64, windows: 1 });
    expect(n).toBe(64);
    expect(crossEntropy).toBeCloseTo(FIRST_64, 4);
  });
});

/** torch 2.13, float32: mean over the targets of ids 0..63. */
const FIRST_64 = 2.2600996494;
