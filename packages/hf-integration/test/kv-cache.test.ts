// Keys and values kept in codes: every way of generating goes on from the same bits, files hold them, and the text's cross entropy
// tells what they cost.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRuntime } from '@ao/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { autoRuntime } from '../src/auto-runtime.ts';
import { loadCache, saveCache } from '../src/chat/cache-file.ts';
import { evaluate } from '../src/evaluate.ts';
import { hfIntegration } from '../src/extension.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import { PastKeyValues } from '../src/generate/past-key-values.ts';
import { cacheLayout, type KVCacheFormat, layoutName } from '../src/models/cache-layout.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { estimate } from '../src/quantize/estimate.ts';
import { familyFixture, writeFamily } from './family-fixtures.ts';
import { STORIES, storiesReference } from './stories.ts';

const FORMATS: readonly KVCacheFormat[] = [
  'int8',
  'int8-asym',
  'int4',
  'int4-asym',
  { keys: 'int8-asym', values: 'int4' },
];
const { prompt } = storiesReference().greedy;
const nameOf = (format: KVCacheFormat): string => layoutName(cacheLayout(format, model.dtype));

let model: CausalLM;
let scratch: string;
beforeAll(async () => {
  model = await AutoModelForCausalLM.fromPretrained(STORIES, { runtime: await autoRuntime(), dtype: 'float32' });
  scratch = await mkdtemp(join(tmpdir(), 'ao-kv-'));
});
afterAll(async () => {
  model.dispose();
  await model.rt.close();
  await rm(scratch, { recursive: true, force: true });
});

describe.each(FORMATS.map((format) => ({ format, name: JSON.stringify(format) })))('$name', ({ format }) => {
  const input = { temperature: 0, ignoreEos: true, kvCache: format } as const;

  test('captured and eager steps, drafts, several texts and a cache that is kept choose the same', async () => {
    const { ids } = await model.generate(prompt, { ...input, maxNewTokens: 60 });
    const eager = await model.generate(prompt, { ...input, maxNewTokens: 60, cacheImplementation: 'dynamic' });
    expect(eager.ids).toEqual(ids);
    // drafts that are refused are taken back
    const drafted = await model.generate(prompt, { ...input, maxNewTokens: 60, promptLookupNumTokens: 5 });
    expect(drafted.ids).toEqual(ids);
    expect(drafted.speculation!.drafted).toBeGreaterThan(drafted.speculation!.accepted);
    const [, second] = await model.generate([[1, 5, 9], prompt], { ...input, maxNewTokens: 20 });
    expect(second!.ids).toEqual(ids.slice(0, 20));
    // the prompt's cache is copied to the other sequence
    const drawn = { ...input, temperature: 0.9, maxNewTokens: 12 };
    const [, other] = await model.generate(prompt, { ...drawn, numReturnSequences: 2, seed: 3 });
    expect(other!.ids).toEqual((await model.generate(prompt, { ...drawn, seed: 4 })).ids);
    using past = new PastKeyValues(model);
    await model.generate(prompt, { ...input, maxNewTokens: 20, pastKeyValues: past });
    const rest = await model.generate([...prompt, ...ids.slice(0, 20)], {
      ...input,
      maxNewTokens: 40,
      pastKeyValues: past,
    });
    expect(rest).toMatchObject({ ids: ids.slice(20), cachedTokens: prompt.length + 19 });
    // another format begins anew
    const anew = await model.generate(prompt, { ...input, kvCache: 'bf16', maxNewTokens: 2, pastKeyValues: past });
    expect(anew.cachedTokens).toBe(0);
  });

  test('a file holds what was read', async () => {
    using past = new PastKeyValues(model);
    const { ids } = await model.generate(prompt, { ...input, maxNewTokens: 30, pastKeyValues: past });
    const file = join(scratch, 'cache.safetensors');
    await saveCache(past, file);
    using restored = new PastKeyValues(model);
    await loadCache(restored, file);
    expect(restored.ids).toEqual(past.ids);
    const again = join(scratch, 'again.safetensors');
    await saveCache(restored, again);
    expect((await readFile(again)).equals(await readFile(file))).toBe(true);
    const longer = [...prompt, ...ids];
    const [a, b] = [past, restored].map((pastKeyValues) =>
      model.generate(longer, { ...input, maxNewTokens: 10, pastKeyValues }),
    );
    expect(await b).toMatchObject({ ids: (await a!).ids, cachedTokens: longer.length - 1 });
  });
});

test('another backend gives the same text’s cross entropy', async () => {
  const runtime = await createRuntime({ use: [hfIntegration()] });
  const reference = await AutoModelForCausalLM.fromPretrained(STORIES, { runtime, dtype: 'float32' });
  const ids = [...prompt, ...storiesReference().greedy.tokens].slice(0, 16);
  const plain = (await evaluate(model, ids, { window: 16 })).crossEntropy;
  for (const kvCache of ['int8-asym', 'int4'] as const) {
    const options = { window: 16, kvCache };
    const [ours, exact] = [await evaluate(model, ids, options), await evaluate(reference, ids, options)];
    // a value that lies between two codes may go either way
    expect(Math.abs(ours.crossEntropy - exact.crossEntropy)).toBeLessThan(2e-3);
    expect(ours.crossEntropy).not.toBe(plain);
  }
  reference.dispose();
  await runtime.close();
});

test('sliding windows and soft caps read codes as they read floats', async () => {
  const folder = join(scratch, 'gemma2');
  await writeFamily(folder, await familyFixture('gemma2'));
  const gemma = await AutoModelForCausalLM.fromPretrained(folder, { runtime: model.rt, dtype: 'float32' });
  const ids = Array.from({ length: 40 }, (_, i) => (i * i * 31 + i * 7) % gemma.vocabSize);
  const at = async (kvCache: KVCacheFormat) => (await evaluate(gemma, ids, { window: 40, kvCache })).crossEntropy;
  const exact = await at('auto');
  const errors = await Promise.all((['int8', 'int4-asym'] as const).map(async (f) => Math.abs((await at(f)) - exact)));
  expect(errors[0]).toBeLessThan(2e-3);
  expect(errors[1]).toBeLessThan(5e-2);
  const input = { temperature: 0, ignoreEos: true, maxNewTokens: 20, kvCache: 'int8' } as const;
  const eager = await gemma.generate(ids, { ...input, cacheImplementation: 'dynamic' });
  expect((await gemma.generate(ids, input)).ids).toEqual(eager.ids);
  gemma.dispose();
});

test('8 bits cost less than 0.01 nats of a text, 4 bits more than they', async () => {
  const { AutoTokenizer } = await import('../src/tokenizer/auto-tokenizer.ts');
  const tokenizer = await AutoTokenizer.fromPretrained(STORIES);
  const text = await readFile(join(STORIES, 'validation.txt'), 'utf8');
  const ids = tokenizer.encode(text.slice(0, 4_000));
  const at = async (kvCache: KVCacheFormat) =>
    (await evaluate(model, ids, { window: 512, windows: 1, kvCache })).crossEntropy;
  const [bf16, int8, int4] = [await at('bf16'), await at('int8'), await at('int4-asym')];
  expect(Math.abs(int8 - bf16)).toBeLessThan(0.01);
  expect(int4 - bf16).toBeLessThan(0.5);
  expect(Math.abs(int4 - bf16)).toBeGreaterThan(Math.abs(int8 - bf16));
});

test('estimate counts the bytes of each format', async () => {
  const { kvCacheBytes } = await estimate(STORIES, { contextLength: 100, dtype: 'float32', runtime: model.rt });
  for (const format of ['auto', 'bf16', 'int8', 'int4'] as const) {
    using cache = model.createCache(100, 1, format);
    const bytes = [...cache.keys, ...cache.values].reduce((n, t) => n + t.numel * t.dtype.itemsize, 0);
    expect(kvCacheBytes[format]).toBe(bytes);
  }
});

test('unknown formats are errors that list the known ones', () => {
  const wrong = (kvCache: unknown) => () => model.generate(prompt, { kvCache: kvCache as KVCacheFormat });
  expect(wrong('int3')).toThrow(/kvCache is "int3"; it must be 'auto', 'bf16', 'int8'/);
  expect(wrong({ keys: 'int8' })).toThrow(/or \{ keys, values \} of these/);
  expect(() => model.createCache(8, 1, 'int2' as KVCacheFormat)).toThrow(/use auto, bf16, int8/);
  expect(nameOf({ keys: 'int8-asym', values: 'int4' })).toBe('int8-asym,int4');
});
