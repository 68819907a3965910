// mixedConfig and recommend on stories-7m: files that are written have the bits per weight that were promised, and a mix changes
// the predictions less than a uniform scheme of as many bits.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { logSoftmax, type Runtime, reshape, scope, type Tensor } from '@ao/core';
import { type Analysis, type AoConfig, analyze, configFromFile, klDivergence, parseScheme } from '@ao/quantization';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { autoRuntime } from '../src/auto-runtime.ts';
import { idBatches } from '../src/eval/id-batches.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { fileBits } from '../src/quantize/file-bits.ts';
import { mixedConfig } from '../src/quantize/mixed-config.ts';
import { quantizeCheckpoint } from '../src/quantize/quantize-checkpoint.ts';
import { recommend } from '../src/quantize/recommend.ts';
import { AutoTokenizer } from '../src/tokenizer/auto-tokenizer.ts';
import { STORIES, storiesText } from './stories.ts';

const CANDIDATES = ['int4wo-128', 'int4wo-64', 'int4wo-32', 'int8wo'].map((scheme) => parseScheme(scheme));

let folder = '';
let runtime: Runtime;
let model: CausalLM;
let ids: number[];
let analysis: Analysis;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ao-mixed-'));
  runtime = await autoRuntime();
  model = await AutoModelForCausalLM.fromPretrained(STORIES, { runtime, dtype: 'float32' });
  ids = (await AutoTokenizer.fromPretrained(STORIES)).encode(storiesText().slice(0, 4000));
  const data = idBatches(model, ids, { window: 64, windows: 1 });
  analysis = await analyze(model, data, { candidates: CANDIDATES, kl: 'one' });
}, 60_000);
afterAll(async () => {
  await runtime.close();
  await rm(folder, { recursive: true, force: true });
});

test('every weight that linear reads was analyzed, with KL', () => {
  expect(analysis.positions).toBe(64);
  expect(analysis.layers).toHaveLength(8 * 7 + 1);
  for (const { candidates } of analysis.layers) for (const c of candidates) expect(c.kl).toBeGreaterThan(0);
});

describe.each([4.6, 6, 8])('%d bits per weight', (targetBpw) => {
  test('the files written have them, and are of the size that was told', async () => {
    const mixed = await mixedConfig(STORIES, analysis, { targetBpw, runtime });
    const output = join(folder, String(targetBpw));
    await quantizeCheckpoint(STORIES, output, { quantizationConfig: mixed.config, runtime });
    const written = await fileBits(output);
    expect(Math.abs(written.bitsPerWeight - targetBpw)).toBeLessThan(0.05);
    expect(written).toMatchObject({ bytes: mixed.bytes, bitsPerWeight: mixed.bitsPerWeight });
    expect(Object.values(mixed.schemes).reduce((a, b) => a + b)).toBe(57);
  });
});

test('a mix of as many bits as a uniform scheme changes the predictions less, by what the analysis foretold', async () => {
  const text = idBatches(model, ids, { window: 256, windows: 2 });
  const predictions = (m: CausalLM, batch: Tensor): Tensor => logSoftmax(reshape(m.call(batch), [-1, m.vocabSize]));
  const klOf = async (quantizationConfig: AoConfig): Promise<number> => {
    const other = await AutoModelForCausalLM.fromPretrained(STORIES, { runtime, dtype: 'float32', quantizationConfig });
    const rows: number[] = [];
    for (const batch of text) {
      const kl = scope(() => klDivergence(predictions(model, batch), predictions(other, batch)));
      rows.push(...(await kl.data()));
    }
    other.dispose();
    return rows.reduce((a, b) => a + b) / rows.length;
  };
  const all = configFromFile('{ "re:.*": "int4wo-64" }');
  const uniform = join(folder, 'uniform');
  await quantizeCheckpoint(STORIES, uniform, { quantizationConfig: all, runtime });
  const { bitsPerWeight: targetBpw } = await fileBits(uniform);
  const mixed = await mixedConfig(STORIES, analysis, { targetBpw, runtime });
  expect(mixed.bitsPerWeight).toBeLessThan(targetBpw + 0.01);
  const [ofUniform, ofMixed] = [await klOf(all), await klOf(mixed.config)];
  expect(ofMixed).toBeLessThan(0.95 * ofUniform);
  expect(Math.abs(mixed.cost / ofMixed - 1)).toBeLessThan(0.25);
});

test('a target that no mix reaches, and a model that is quantized already', async () => {
  await expect(mixedConfig(STORIES, analysis, { targetBpw: 1, runtime })).rejects.toThrow(/nearest mix has .* to /);
  await expect(mixedConfig(STORIES, analysis, { targetBpw: 40, runtime })).rejects.toThrow(/nearest mix/);
  await expect(mixedConfig(join(folder, '8'), analysis, { targetBpw: 6, runtime })).rejects.toThrow(/already/);
});

test('recommend: the first that fits, its reasons, and a file that says the same', async () => {
  // what the process itself takes changes from call to call
  const rss = vi.spyOn(process.memoryUsage, 'rss').mockReturnValue(100e6);
  const room = await recommend(STORIES, { memory: 8e9, runtime, contextLength: 16 });
  expect(room.scheme).toBe('int8wo:int8-group');
  expect(configFromFile(room.file)).toEqual(room.config);
  expect(room.config.fqnToConfig).toEqual([
    ['lm_head', parseScheme('int8wo:int8-group')],
    ['_default', parseScheme('int8wo:int8-group')],
  ]);
  const tight = await recommend(STORIES, { memory: room.totalBytes - 1_000_000, runtime, contextLength: 16 });
  expect(tight.scheme).toMatch(/^int4wo/);
  expect(tight.totalBytes).toBeLessThan(room.totalBytes - 1_000_000);
  expect(tight.reasons.join('\n')).toMatch(/not int8wo:int8-group: it needs/);
  await expect(recommend(STORIES, { memory: 1000, runtime })).rejects.toThrow(/no scheme fits.*smallest needs/);
  expect((await recommend(STORIES, { memory: 8e9, task: 'batch', runtime })).scheme).toBe('int8dq');
  await expect(recommend(STORIES, { task: 'dance' as never, runtime })).rejects.toThrow(/chat, batch, embed/);
  rss.mockRestore();
});
