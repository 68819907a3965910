// Tiny encoders against transformers' numbers, on the reference backend and, where it loads, the native one.
import { readFile } from 'node:fs/promises';
import { createRuntime, type Runtime } from '@ao/core';
import { afterAll, describe, expect, test } from 'vitest';
import { AutoModel } from '../src/auto-model.ts';
import { autoRuntime } from '../src/auto-runtime.ts';
import type { TextEncoder } from '../src/models/encoders/text-encoder.ts';
import type { VisionEncoder } from '../src/models/encoders/vision-encoder.ts';
import { AutoTokenizer } from '../src/tokenizer/auto-tokenizer.ts';
import { encoder, greatestDifference, numbers, toTensor } from './encoders.ts';

const native = await autoRuntime();
const runtimes: Record<string, Runtime> = { reference: await createRuntime() };
if (native.device === 'reference') console.warn('skipped on a native backend: none loads');
else runtimes[native.device] = native;
afterAll(() => native.close());

const WITHIN = 1e-4;
const KEYS = {
  lastHiddenState: 'last_hidden_state',
  poolerOutput: 'pooler_output',
  imageEmbeds: 'image_embeds',
  logits: 'logits',
} as const;

describe.each(Object.entries(runtimes))('on %s', (_name, runtime) => {
  const load = { runtime, dtype: 'float32' };

  test.each(['minilm', 'bge'])('%s: hidden states, pooler and token types are transformers’', async (name) => {
    const expected = await numbers(`${name}/expected.safetensors`);
    const of = (key: string) => toTensor(runtime, expected[key]!);
    using model = await AutoModel.fromPretrained(encoder(name), load);
    const attentionMask = of('attention_mask');
    const plain = model.call(of('input_ids'), { attentionMask });
    const typed = model.call(of('input_ids'), { attentionMask, tokenTypeIds: of('token_type_ids') });
    const mask = expected['attention_mask']!.values;
    // what stands at padding is nobody's business
    const counted = (values: ArrayLike<number>): number[] =>
      Array.from(values).filter((_, i) => mask[Math.floor(i / model.hiddenSize)] === 1);
    const differs = async (t: typeof plain.lastHiddenState, key: string): Promise<number> =>
      greatestDifference(counted(await t.data()), counted(expected[key]!.values));
    expect(await differs(plain.lastHiddenState, 'last_hidden_state')).toBeLessThan(WITHIN);
    expect(await differs(typed.lastHiddenState, 'typed_hidden_state')).toBeLessThan(WITHIN);
    expect(plain.poolerOutput === undefined).toBe(name === 'bge');
    if (plain.poolerOutput !== undefined) {
      const pooled = await plain.poolerOutput.data();
      expect(greatestDifference(pooled, expected['pooler_output']!.values)).toBeLessThan(WITHIN);
    }
  });

  test.each(['minilm', 'bge'])('%s: embeddings are those of sentence-transformers', async (name) => {
    const folder = encoder(name);
    const { embeddings } = await numbers(`${name}/expected.safetensors`);
    const texts = JSON.parse(await readFile(`${folder}/texts.json`, 'utf8')) as string[];
    using model = await AutoModel.fromPretrained(folder, load);
    const tokenizer = await AutoTokenizer.fromPretrained(folder);
    const all = await model.embed(texts, { tokenizer });
    expect(
      greatestDifference(
        all.flatMap((v) => [...v]),
        embeddings!.values,
      ),
    ).toBeLessThan(WITHIN);
  });

  test.each(['vit', 'vit-classifier', 'clip-vision', 'clip-projection'])(
    '%s: outputs are transformers’',
    async (name) => {
      const { pixel_values: pixels, ...expected } = await numbers(`${name}/expected.safetensors`);
      using model = await AutoModel.fromPretrained<VisionEncoder>(encoder(name), load);
      const output = model.call(toTensor(runtime, pixels!));
      let compared = 0;
      for (const [key, file] of Object.entries(KEYS)) {
        if (expected[file] === undefined) continue;
        const got = await output[key as keyof typeof KEYS]!.data();
        expect(greatestDifference(got, expected[file].values), key).toBeLessThan(WITHIN);
        compared++;
      }
      expect(compared).toBe(Object.keys(expected).length);
    },
  );

  test('a text alone and in a batch of any padding has the same embedding, bit for bit', async () => {
    const folder = encoder('minilm');
    using model = await AutoModel.fromPretrained<TextEncoder>(folder, load);
    const rows = [3, 40, 17, 5, 48, 4].map((n, row) => Array.from({ length: n }, (_, i) => (7 * i + row) % 64));
    for (const pooling of ['mean', 'cls'] as const) {
      const together = await model.embed(rows, { pooling });
      const pairs = await model.embed(rows, { pooling, batchSize: 2 });
      for (const [i, ids] of rows.entries()) {
        const alone = await model.embed(ids, { pooling });
        expect([...together[i]!]).toEqual([...alone]);
        expect([...pairs[i]!]).toEqual([...alone]);
      }
    }
  });
});
