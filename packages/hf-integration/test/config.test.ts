import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Fields } from '../src/config/fields.ts';
import { readGenerationConfig } from '../src/config/generation-config.ts';
import { parseModelConfig, readModelConfig } from '../src/config/model-config.ts';
import { inverseFrequencies, parseRope } from '../src/config/rope.ts';
import { resolveSampling } from '../src/generate/options.ts';
import { STORIES } from './stories.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ao-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('config.json: architecture and dtype under the names of transformers 5 and of older ones', async () => {
  const stories = await readModelConfig(STORIES);
  expect(stories).toMatchObject({ architecture: 'LlamaForCausalLM', modelType: 'llama', dtype: 'bfloat16' });
  expect(parseModelConfig({ model_type: 'llama', torch_dtype: 'float16' }, 'x').dtype).toBe('float16');
});

test('a missing or broken config.json is an error that names the file', async () => {
  await expect(readModelConfig(folder)).rejects.toThrow(/config\.json does not exist/);
  await writeFile(join(folder, 'config.json'), '[1]');
  await expect(readModelConfig(folder)).rejects.toThrow(/config\.json is not a JSON object/);
  await writeFile(join(folder, 'config.json'), '{}');
  await expect(readModelConfig(folder)).rejects.toThrow(/neither architectures nor model_type/);
});

test('a field of the wrong type is named with its value', () => {
  const fields = new Fields({ hidden_size: '256', eps: -1 }, 'config.json');
  expect(() => fields.count('hidden_size')).toThrow(/hidden_size is "256"; it must be a whole number/);
  expect(() => fields.positive('eps')).toThrow(/eps is -1/);
  expect(() => fields.count('layers')).toThrow(/layers is missing/);
});

test('rope: both spellings mean the same', () => {
  const rope = (json: Record<string, unknown>) => parseRope(new Fields(json, 'config.json'));
  expect(rope({})).toEqual({ type: 'default', theta: 10000 });
  expect(rope({ rope_theta: 1e5 })).toEqual({ type: 'default', theta: 1e5 });
  expect(rope({ rope_parameters: { rope_theta: 1e5, rope_type: 'default' } })).toEqual({ type: 'default', theta: 1e5 });
  expect(rope({ rope_theta: 500, rope_scaling: { type: 'linear', factor: 2 } })).toEqual({
    type: 'linear',
    theta: 500,
    factor: 2,
  });
  expect(() => rope({ rope_scaling: { rope_type: 'dynamic', factor: 2 } })).toThrow(
    /rope_type 'dynamic' is not supported/,
  );
});

test('rope: llama3 keeps short waves, divides long ones, blends between (numbers of transformers)', () => {
  const theta = 500000;
  const plain = inverseFrequencies({ type: 'default', theta }, 128);
  const scaled = inverseFrequencies(
    { type: 'llama3', theta, factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositionEmbeddings: 8192 },
    128,
  );
  expect(plain[1]).toBeCloseTo(0.8146, 4);
  expect(scaled[0]).toBe(1);
  expect(scaled[20]).toBe(plain[20]);
  expect(scaled[63]).toBe(Math.fround(plain[63]! / 8));
  expect(scaled[32]! / plain[32]!).toBeGreaterThan(1 / 8);
  expect(scaled[32]! / plain[32]!).toBeLessThan(1);
});

test('generation defaults: generation_config.json wins, ids may be one or many', async () => {
  const model = parseModelConfig({ model_type: 'llama', bos_token_id: 1, eos_token_id: 2 }, 'config.json');
  expect(await readGenerationConfig(folder, model)).toMatchObject({ bosTokenId: 1, eosTokenIds: [2], doSample: false });
  await writeFile(
    join(folder, 'generation_config.json'),
    '{"eos_token_id": [2, 7], "do_sample": true, "temperature": 0.6, "top_k": 0}',
  );
  expect(await readGenerationConfig(folder, model)).toMatchObject({
    eosTokenIds: [2, 7],
    doSample: true,
    temperature: 0.6,
    topK: undefined,
  });
});

test('penalties of generation_config.json are defaults that options replace', async () => {
  const model = parseModelConfig({ model_type: 'llama', eos_token_id: 2 }, 'config.json');
  const file = join(folder, 'generation_config.json');
  await writeFile(
    file,
    '{"do_sample": true, "min_p": 0.05, "repetition_penalty": 1.2, "no_repeat_ngram_size": 3, "min_new_tokens": 4}',
  );
  const defaults = await readGenerationConfig(folder, model);
  const { minP, logits } = resolveSampling({}, defaults);
  expect(minP).toBe(0.05);
  expect(logits?.options).toEqual({
    repetitionPenalty: 1.2,
    presencePenalty: 0,
    frequencyPenalty: 0,
    noRepeatNgramSize: 3,
    minNewTokens: 4,
  });
  const off = { repetitionPenalty: 1, noRepeatNgramSize: 0, minNewTokens: 0 };
  expect(resolveSampling({ ...off, minP: 0 }, defaults)).toMatchObject({ minP: 0, logits: undefined });
  expect(resolveSampling({ ...off, doSample: false }, defaults).minP).toBeUndefined();
  await writeFile(file, '{"repetition_penalty": -1}');
  await expect(readGenerationConfig(folder, model)).rejects.toThrow(
    /repetition_penalty is -1; it must be a number above 0/,
  );
});

test('sampling: greedy by default, sampled when asked, wrong values refused by name', async () => {
  const defaults = await readGenerationConfig(STORIES, await readModelConfig(STORIES));
  expect(resolveSampling({}, defaults)).toMatchObject({ temperature: 0, cacheImplementation: 'static' });
  expect(resolveSampling({ topK: 5 }, defaults)).toMatchObject({ temperature: 1, topK: 5 });
  expect(resolveSampling({ temperature: 0.5 }, defaults)).toMatchObject({ temperature: 0.5 });
  expect(resolveSampling({ doSample: false, topK: 5 }, defaults)).toMatchObject({ temperature: 0, topK: undefined });
  expect([...resolveSampling({}, defaults).eosTokenIds]).toEqual([0]);
  expect([...resolveSampling({ ignoreEos: true }, defaults).eosTokenIds]).toEqual([]);
  expect(() => resolveSampling({ topP: 0 }, defaults)).toThrow(/topP is 0/);
  expect(() => resolveSampling({ maxNewTokens: 1.5 }, defaults)).toThrow(/maxNewTokens is 1.5/);
  expect(() => resolveSampling({ stopStrings: [''] }, defaults)).toThrow(/stopStrings/);
});
