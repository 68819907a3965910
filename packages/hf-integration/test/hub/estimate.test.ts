// estimate() against what a model really takes once it is loaded.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { int4WeightOnly, modelBytes, parseScheme } from '@ao/quantization';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { autoRuntime } from '../../src/auto-runtime.ts';
import { AutoModelForCausalLM } from '../../src/from-pretrained.ts';
import type { StaticCache } from '../../src/models/kv-cache.ts';
import { dryRun } from '../../src/quantize/dry-run.ts';
import { estimate } from '../../src/quantize/estimate.ts';
import { inspect } from '../../src/quantize/inspect.ts';
import { quantizeCheckpoint } from '../../src/quantize/quantize-checkpoint.ts';
import { torchAoConfig } from '../../src/quantize/torchao-config.ts';
import { STORIES } from '../stories.ts';
import { tinyLlama } from '../tiny.ts';
import { filesIn, HubCase, REPO } from './hub-case.ts';

const SCHEMES = ['int8wo', 'int4wo-32', 'int8dq', '8da4w-32', 'intx4-sym-32'];
const bytesOf = (cache: StaticCache): number =>
  [...cache.keys, ...cache.values].reduce((n, t) => n + t.numel * t.dtype.itemsize, 0);

describe.each(['float32', 'bfloat16'])('stories-7m in %s', (dtype) => {
  test.each([null, ...SCHEMES])('%s: weights, keys and values to the byte', async (scheme) => {
    const config =
      scheme === null
        ? null
        : torchAoConfig(parseScheme(scheme), { includeInputOutputEmbeddings: scheme === 'int8wo' });
    await using rt = await autoRuntime();
    const found = await estimate(STORIES, { schemes: { it: config }, contextLength: 100, dtype, runtime: rt });
    const model = await AutoModelForCausalLM.fromPretrained(STORIES, {
      runtime: rt,
      dtype,
      ...(config && { quantizationConfig: config }),
    });
    expect(found.schemes[0]!.weightBytes).toBe(modelBytes(model));
    using cache = model.createCache(100);
    expect(found.kvCacheBytes['auto']).toBe(bytesOf(cache));
    expect(found.schemes[0]!.totalBytes['auto']).toBe(
      modelBytes(model) + bytesOf(cache) + found.promptBytes + found.processBytes,
    );
    model.dispose();
  });
});

test('the file’s bytes are those that quantizing writes, and a quantized file takes what its model does', async () => {
  const tiny = await tinyLlama();
  try {
    const config = torchAoConfig(parseScheme('int4wo-32'));
    await using rt = await autoRuntime();
    const before = await estimate(tiny.folder, { schemes: { int4: config }, runtime: rt });
    await quantizeCheckpoint(tiny.folder, tiny.scratch, { quantizationConfig: config, runtime: rt });
    expect(before.schemes[0]!.diskBytes).toBe((await inspect(tiny.scratch)).bytes);
    const after = await estimate(tiny.scratch, { runtime: rt });
    expect(after.schemes[0]).toMatchObject({ scheme: 'as it is', diskBytes: before.schemes[0]!.diskBytes });
    const model = await AutoModelForCausalLM.fromPretrained(tiny.scratch, { runtime: rt });
    expect(after.schemes[0]!.weightBytes).toBe(modelBytes(model));
    model.dispose();
  } finally {
    await tiny.remove();
  }
});

test('a model that is quantized already takes no scheme', async () => {
  const tiny = await tinyLlama();
  try {
    const config = torchAoConfig(parseScheme('int8wo'));
    await quantizeCheckpoint(tiny.folder, tiny.scratch, { quantizationConfig: config });
    await expect(estimate(tiny.scratch, { schemes: { again: config } })).rejects.toThrow(/is quantized already/);
  } finally {
    await tiny.remove();
  }
});

test('a context beyond the model’s, and a scheme that does not fit, are errors', async () => {
  await expect(estimate(STORIES, { contextLength: 513 })).rejects.toThrow(
    /contextLength is 513, the model was made for 512/,
  );
  const other = torchAoConfig(int4WeightOnly({ int4PackingFormat: 'PRESHUFFLED' }));
  await expect(estimate(STORIES, { schemes: { other } })).rejects.toThrow(/a layout of other hardware/);
});

describe('of a hub id', () => {
  let hub: HubCase;
  beforeEach(async () => {
    const tiny = await tinyLlama({ maxShardSize: 40_000 });
    const files = Object.fromEntries(
      await Promise.all(
        (await filesIn(tiny.folder)).map(
          async (f) => [f, new Uint8Array(await readFile(join(tiny.folder, f)))] as const,
        ),
      ),
    );
    await tiny.remove();
    hub = await HubCase.start({ files });
  });
  afterEach(() => hub.end());

  test('estimate, inspect and dryRun read headers by range, and no weights', async () => {
    await using rt = await autoRuntime();
    const remote = await estimate(REPO, { schemes: { int8: torchAoConfig(parseScheme('int8wo')) }, runtime: rt });
    const ranges = hub.server.contents.filter((c) => c.includes('.safetensors bytes='));
    expect(ranges.length).toBeGreaterThan(2);
    expect((await filesIn(join(hub.repo, 'snapshots'))).filter((f) => f.endsWith('.safetensors'))).toEqual([]);
    const found = await inspect(REPO);
    const dry = await dryRun(REPO, torchAoConfig(parseScheme('int8wo')), rt);
    const folder = await hub.pull();
    expect(found).toEqual(await inspect(folder));
    expect(dry).toEqual(await dryRun(folder, torchAoConfig(parseScheme('int8wo')), rt));
    const local = await estimate(folder, { schemes: { int8: torchAoConfig(parseScheme('int8wo')) }, runtime: rt });
    expect(remote.schemes[0]!.diskBytes).toBe(local.schemes[0]!.diskBytes);
    expect(remote.schemes[0]!.weightBytes).toBe(local.schemes[0]!.weightBytes);
  });

  test('a server that ignores Range: the same headers', async () => {
    hub.server.fault = () => ({ ignoreRange: true });
    const found = await inspect(REPO);
    expect(found).toEqual(await inspect(await hub.pull()));
  });

  test('fromPretrained of a sharded repository, then offline with no request', async () => {
    const model = await AutoModelForCausalLM.fromPretrained(REPO, { dtype: 'float32' });
    const first = await model.generate([1, 5, 9], { maxNewTokens: 4, ignoreEos: true });
    await model.rt.close();
    hub.server.asked.length = 0;
    process.env['HF_HUB_OFFLINE'] = '1';
    const again = await AutoModelForCausalLM.fromPretrained(REPO, { dtype: 'float32' });
    expect((await again.generate([1, 5, 9], { maxNewTokens: 4, ignoreEos: true })).ids).toEqual(first.ids);
    await again.rt.close();
    expect(hub.server.asked).toEqual([]);
  });
});
