// all-MiniLM-L6-v2 against the embeddings that sentence-transformers defines for it (scripts/encoder-fixtures.py). The model is
// optional: it lies under $AO_CACHE (default .cache/ao-peers in the home folder).
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseScheme } from '@ao/quantization';
import { describe, expect, test } from 'vitest';
import { AutoModel } from '../src/auto-model.ts';
import type { EmbedInput } from '../src/embed/embed-texts.ts';
import { torchAoConfig } from '../src/quantize/torchao-config.ts';
import { AutoTokenizer } from '../src/tokenizer/auto-tokenizer.ts';
import { cosine, encoder, numbers } from './encoders.ts';
import { optionalModel } from './optional-model.ts';

const { folder, runtime, reason } = await optionalModel('minilm');

const sentences = JSON.parse(readFileSync(encoder('minilm-sentences.json'), 'utf8')) as string[];
const expected = await numbers('minilm.safetensors');
const cosines = (vectors: readonly Float32Array[], of: string): number[] => {
  const { shape, values } = expected[of]!;
  const width = shape[1]!;
  return vectors.map((v, i) => cosine(v, values.slice(i * width, (i + 1) * width)));
};

async function embeddings(scheme?: string, input: EmbedInput = {}): Promise<Float32Array[]> {
  const quantizationConfig = scheme === undefined ? undefined : torchAoConfig(parseScheme(scheme));
  using model = await AutoModel.fromPretrained(folder, {
    runtime,
    ...(quantizationConfig === undefined ? {} : { quantizationConfig }),
  });
  return await model.embed(sentences, { ...input, tokenizer: await AutoTokenizer.fromPretrained(folder) });
}

describe.skipIf(reason !== undefined)('all-MiniLM-L6-v2', () => {
  test('float32: cosine with sentence-transformers of at least 0.99999, of length 1', async () => {
    const all = await embeddings();
    expect(Math.min(...cosines(all, 'float32'))).toBeGreaterThan(0.99999);
    for (const v of all) expect(Math.hypot(...v)).toBeCloseTo(1, 5);
  });

  test('int8wo: at least 0.999 with float32, and what torchao gives', async () => {
    const all = await embeddings('int8wo');
    expect(Math.min(...cosines(all, 'int8wo'))).toBeGreaterThan(0.99999);
    // one letter has no words to average over: torchao's int8wo, too, is 0.99844 from float32 there
    const words = cosines(all, 'float32').filter((_, i) => sentences[i]!.includes(' '));
    expect(words).toHaveLength(sentences.length - 1);
    expect(Math.min(...words)).toBeGreaterThan(0.999);
  });

  test.each([
    ['int8dq', 0.985],
    ['int4wo-32', 0.93],
    ['8da4w-32', 0.91],
  ])('%s: as near to float32 as these bits allow (at least %d)', async (scheme, least) => {
    const all = await embeddings(scheme);
    expect(Math.min(...cosines(all, 'float32'))).toBeGreaterThan(least);
    if (scheme in expected) expect(Math.min(...cosines(all, scheme))).toBeGreaterThan(least);
  });

  test.each(['float32', 'int8dq'])(
    '%s: each text alone, to the longest, gives the bits it has in a batch',
    async (scheme) => {
      const all = await embeddings(scheme === 'float32' ? undefined : scheme);
      const alone = await embeddings(scheme === 'float32' ? undefined : scheme, { batchSize: 1 });
      expect(alone).toEqual(all);
    },
  );

  test('saved quantized and loaded again, the embeddings are equal, and the pooling is there', async () => {
    const out = await mkdtemp(join(tmpdir(), 'ao-minilm-'));
    try {
      const tokenizer = await AutoTokenizer.fromPretrained(folder);
      using model = await AutoModel.fromPretrained(folder, {
        runtime,
        quantizationConfig: torchAoConfig(parseScheme('int8wo')),
      });
      const before = await model.embed(sentences.slice(0, 3), { tokenizer });
      await model.savePretrained(out);
      using again = await AutoModel.fromPretrained(out, { runtime });
      expect(again.sentence).toEqual(model.sentence);
      const after = await again.embed(sentences.slice(0, 3), { tokenizer: await AutoTokenizer.fromPretrained(out) });
      expect(after).toEqual(before);
    } finally {
      await rm(out, { recursive: true, force: true });
    }
  });
});
