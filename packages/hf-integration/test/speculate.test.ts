import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseScheme } from '@ao/quantization';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { autoRuntime } from '../src/auto-runtime.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import { PastKeyValues } from '../src/generate/past-key-values.ts';
import { promptLookup } from '../src/generate/prompt-lookup.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { torchAoConfig } from '../src/quantize/torchao-config.ts';
import { AutoTokenizer } from '../src/tokenizer/auto-tokenizer.ts';
import type { Tokenizer } from '../src/tokenizer/tokenizer.ts';
import { STORIES, storiesText } from './stories.ts';
import { tinyLlama } from './tiny.ts';

test('prompt lookup finds what followed the last ids', () => {
  expect(promptLookup([1, 2, 3, 4, 1, 2], 2, 3)).toEqual([3, 4, 1]);
  // the longest that is found decides, and of its places the last
  expect(promptLookup([1, 2, 7, 7, 5, 2, 8, 8, 1, 2], 2, 2)).toEqual([7, 7]);
  expect(promptLookup([2, 7, 7, 2, 8, 8, 2], 2, 2)).toEqual([8, 8]);
  // a place with fewer ids behind it serves where there is no other
  expect(promptLookup([4, 6, 6, 6], 2, 5)).toEqual([6]);
  expect(promptLookup([1, 2, 3], 2, 3)).toEqual([]);
  expect(promptLookup([1], 2, 3)).toEqual([]);
  expect(promptLookup([1, 2, 1], 2, 0)).toEqual([]);
});

describe('speculating gives the ids of plain decoding', () => {
  let model: CausalLM;
  let draft: CausalLM;
  let prompts: readonly (readonly number[])[];
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    const runtime = await autoRuntime();
    const load = (scheme?: string): Promise<CausalLM> =>
      AutoModelForCausalLM.fromPretrained(STORIES, {
        runtime,
        dtype: 'float32',
        ...(scheme === undefined ? {} : { quantizationConfig: torchAoConfig(parseScheme(scheme)) }),
      });
    model = await load();
    draft = await load('int4wo-32');
    tokenizer = await AutoTokenizer.fromPretrained(STORIES);
    const ids = tokenizer.encode(storiesText().slice(0, 20_000));
    prompts = Array.from({ length: 12 }, (_, i) => ids.slice(i * 300, i * 300 + 3 + 7 * i));
  });
  afterAll(async () => {
    draft.dispose();
    model.dispose();
    await model.rt.close();
  });

  test('greedy, by lookup and by a draft model, captured and eager', async () => {
    let accepted = 0;
    for (const [i, prompt] of prompts.entries()) {
      const input = { maxNewTokens: 40, temperature: 0, ignoreEos: i % 2 === 0 };
      const plain = await model.generate(prompt, input);
      for (const how of [
        { promptLookupNumTokens: 1 + (i % 5) },
        { promptLookupNumTokens: 4, maxMatchingNgramSize: 3, cacheImplementation: 'dynamic' },
        { assistantModel: draft },
        { assistantModel: draft, numAssistantTokens: 1 + (i % 6) },
      ] as const) {
        const run = await model.generate(prompt, { ...input, ...how });
        expect(run.ids).toEqual(plain.ids);
        expect(run.finishReason).toBe(plain.finishReason);
        const { drafted, accepted: kept, rounds, acceptanceRate } = run.speculation!;
        expect(kept).toBeLessThanOrEqual(drafted);
        expect(acceptanceRate).toBe(drafted === 0 ? 0 : kept / drafted);
        // each round gives one id and those that were accepted; the end may cut the last round off
        expect(rounds + kept).toBeGreaterThanOrEqual(run.ids.length - 1);
        if ('assistantModel' in how) accepted += kept;
      }
    }
    expect(accepted).toBeGreaterThan(prompts.length * 20);
  });

  test('drawn with the same seed, whatever is proposed', async () => {
    for (const [i, prompt] of prompts.slice(0, 6).entries()) {
      const input = { maxNewTokens: 30, temperature: 0.8, topK: 20, topP: 0.95, seed: i };
      const plain = await model.generate(prompt, input);
      for (const how of [{ promptLookupNumTokens: 3 }, { assistantModel: draft }]) {
        expect((await model.generate(prompt, { ...input, ...how })).ids).toEqual(plain.ids);
      }
    }
  });

  test('a model that drafts for itself is always right', async () => {
    const run = await model.generate(prompts[3]!, {
      maxNewTokens: 21,
      temperature: 0.9,
      seed: 5,
      ignoreEos: true,
      assistantModel: model,
      numAssistantTokens: 4,
    });
    expect(run.speculation).toEqual({ drafted: 16, accepted: 16, acceptanceRate: 1, rounds: 4 });
  });

  test('up to the last position of the context', async () => {
    const { ids } = await model.generate(prompts[0]!, { temperature: 0, ignoreEos: true, promptLookupNumTokens: 5 });
    expect(ids.length).toBe(model.maxPositions - prompts[0]!.length);
    expect(ids).toEqual((await model.generate(prompts[0]!, { temperature: 0, ignoreEos: true })).ids);
  });

  test('with keys and values that are kept, of both models; pieces, stop strings and aborts as without', async () => {
    using past = new PastKeyValues(model);
    const input = { tokenizer, temperature: 0, pastKeyValues: past, assistantModel: draft } as const;
    const first = await model.generate(prompts[5]!, { ...input, maxNewTokens: 20 });
    const longer = [...prompts[5]!, ...first.ids, 17, 33];
    const second = await model.generate(longer, { ...input, maxNewTokens: 20 });
    expect(second.prefilledTokens).toBe(3);
    expect(past.assistant(draft).ids.length).toBeGreaterThan(longer.length);
    const plain = await model.generate(longer, { tokenizer, temperature: 0, maxNewTokens: 20 });
    expect(second).toMatchObject({ ids: plain.ids, text: plain.text });
    const stop = plain.text.slice(20, 24);
    const stopped = await model.generate(longer, { ...input, stopStrings: [stop] });
    expect(stopped.text).toBe(plain.text.slice(0, plain.text.indexOf(stop)));
    const controller = new AbortController();
    const seen: number[] = [];
    const aborted = async (): Promise<void> => {
      for await (const { id } of model.generate(longer, { ...input, signal: controller.signal }))
        if (seen.push(id) === 5) controller.abort();
    };
    await expect(aborted()).rejects.toThrow(/abort/i);
    expect(seen).toEqual(plain.ids.slice(0, 5));
    const third = await model.generate(longer, { ...input, maxNewTokens: 20 });
    expect(third).toMatchObject({ ids: plain.ids, prefilledTokens: 1 });
  });

  test('wrong options are refused before any work', async () => {
    const prompt = prompts[0]!;
    expect(() => model.generate(prompt, { promptLookupNumTokens: 0 })).toThrow(/promptLookupNumTokens is 0/);
    expect(() => model.generate(prompt, { maxMatchingNgramSize: 2 })).toThrow(/without promptLookupNumTokens/);
    expect(() => model.generate(prompt, { numAssistantTokens: 2 })).toThrow(/without assistantModel/);
    expect(() => model.generate(prompt, { promptLookupNumTokens: 2, assistantModel: draft })).toThrow(/one of them/);
    expect(() => model.generate([prompt, prompt], { promptLookupNumTokens: 2 })).toThrow(/2 sequences/);
    for (const [options, message] of [
      [{ repetitionPenalty: 1.2 }, /penalties and biases cannot be combined/],
      [{ logprobs: true }, /logprobs cannot be combined/],
      [{ responseFormat: { type: 'regex', pattern: 'a+' } }, /responseFormat cannot be combined/],
    ] as const) {
      expect(() => model.generate(prompt, { ...options, tokenizer, promptLookupNumTokens: 2 })).toThrow(message);
    }
    const tiny = await tinyLlama();
    const other = await AutoModelForCausalLM.fromPretrained(tiny.folder, { runtime: model.rt });
    expect(() => model.generate(prompt, { assistantModel: other })).toThrow(
      /a vocabulary of 128, the model one of 4096/,
    );
    other.dispose();
    await tiny.remove();
  });

  test('a draft model with other tokens is refused, naming one', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ao-draft-'));
    const json = JSON.parse(await readFile(join(STORIES, 'tokenizer.json'), 'utf8')) as {
      model: { vocab: Record<string, number> };
    };
    const [a, b] = Object.keys(json.model.vocab).slice(300) as [string, string];
    const { vocab } = json.model;
    [vocab[a], vocab[b]] = [vocab[b]!, vocab[a]!];
    await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(json));
    const { origin } = draft;
    try {
      draft.origin = { ...origin!, folder };
      await expect(model.generate(prompts[0]!, { assistantModel: draft })).rejects.toThrow(
        `another tokenizer: token ${JSON.stringify(a)} is ${vocab[b]} here, ${vocab[a]} there`,
      );
    } finally {
      draft.origin = origin;
      await rm(folder, { recursive: true });
    }
  });
});
