// all-MiniLM-L6-v2 against the embeddings that sentence-transformers defines for it (scripts/encoder-fixtures.py). The model is
// optional: it lies under $AO_CACHE (default .cache/ao-peers in the home folder).
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseScheme } from '@ao/quantization';
import { afterAll, describe, expect, test } from 'vitest';
import { AutoModel } from '../src/auto-model.ts';
import { autoRuntime } from '../src/auto-runtime.ts';
import { torchAoConfig } from '../src/quantize/torchao-config.ts';
import { AutoTokenizer } from '../src/tokenizer/auto-tokenizer.ts';
import { cosine, encoder, numbers } from './encoders.ts';

const folder = join(process.env['AO_CACHE'] ?? join(homedir(), '.cache', 'ao-peers'), 'minilm');
const runtime = await autoRuntime();
const reason = !existsSync(join(folder, 'config.json'))
  ? `${folder} is not there (AO_CACHE names the folder of models)`
  : runtime.device === 'reference'
    ? 'too slow without a native backend'
    : undefined;
if (reason !== undefined) console.warn(`skipped: ${reason}`);
afterAll(() => runtime.close());

const sentences = JSON.parse(readFileSync(encoder('minilm-sentences.json'), 'utf8')) as string[];
const { embeddings } = await numbers('minilm.safetensors');
const width = embeddings!.shape[1]!;
const least = (vectors: readonly Float32Array[]): number =>
  Math.min(...vectors.map((v, i) => cosine(v, embeddings!.values.slice(i * width, (i + 1) * width))));

describe.skipIf(reason !== undefined)('all-MiniLM-L6-v2', () => {
  test.each([
    ['float32', undefined, 0.99999],
    ['int8wo', 'int8wo', 0.999],
    ['int8dq', 'int8dq', 0.99],
    ['int4wo-32', 'int4wo-32', 0.95],
  ])('%s: the least cosine over the sentences', async (_name, scheme, wanted) => {
    const options = scheme === undefined ? {} : { quantizationConfig: torchAoConfig(parseScheme(scheme)) };
    using model = await AutoModel.fromPretrained(folder, { runtime, ...options });
    const tokenizer = await AutoTokenizer.fromPretrained(folder);
    const all = await model.embed(sentences, { tokenizer });
    console.info(`${_name}: least cosine ${least(all)}`);
    expect(least(all)).toBeGreaterThan(wanted);
    for (const v of all) expect(Math.hypot(...v)).toBeCloseTo(1, 5);
  });

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
