// Untied heads, devices, dtype names, and floats again.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Tensor } from '@ao/core';
import { fqnToConfig, int4WeightOnly, int8WeightOnly, intxWeightOnly, perGroup } from '@ao/quantization';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { autoRuntime } from '../src/auto-runtime.ts';
import { AutoModelForCausalLM, type FromPretrainedOptions } from '../src/from-pretrained.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { dryRun } from '../src/quantize/dry-run.ts';
import { quantizeCheckpoint } from '../src/quantize/quantize-checkpoint.ts';
import { torchAoConfig } from '../src/quantize/torchao-config.ts';
import { type Tiny, tinyLlama } from './tiny.ts';

let tiny: Tiny;
const runtime = await autoRuntime();
beforeAll(async () => {
  tiny = await tinyLlama();
});
afterAll(async () => {
  await runtime.close();
  await tiny.remove();
});

const load = (options: FromPretrainedOptions = {}, folder = tiny.folder): Promise<CausalLM> =>
  AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'float32', ...options });
const bits = (t: Tensor) => t.data();
const parameter = (model: CausalLM, name: string): Tensor => new Map(model.namedParameters()).get(name)!;
const ids = async (model: CausalLM): Promise<readonly number[]> =>
  (await model.generate([1, 5, 9], { maxNewTokens: 8, temperature: 0, ignoreEos: true })).ids;

describe('untieEmbeddingWeights', () => {
  const config = torchAoConfig(
    fqnToConfig({
      'model.embed_tokens': int8WeightOnly(),
      lm_head: intxWeightOnly({ weightDtype: 'int4', granularity: perGroup(32) }),
    }),
    { includeInputOutputEmbeddings: true, untieEmbeddingWeights: true },
  );

  test('head and embedding get schemes of their own, on load and from disk to disk alike', async () => {
    const loaded = await load({ quantizationConfig: config });
    expect(parameter(loaded, 'model.embed_tokens.weight').kind?.name).toBe('int8');
    expect(parameter(loaded, 'lm_head.weight').kind?.name).toBe('intx');
    const report = await quantizeCheckpoint(tiny.folder, tiny.scratch, { quantizationConfig: config, runtime });
    const schemes = Object.fromEntries(report.rows.map((r) => [r.fqn, r.scheme]));
    expect(schemes).toMatchObject({ 'model.embed_tokens.weight': 'int8wo', 'lm_head.weight': 'intx4-sym-32' });
    expect((await dryRun(tiny.folder, config, runtime)).rows.map((r) => [r.fqn, r.scheme])).toEqual(
      report.rows.map((r) => [r.fqn, r.scheme]),
    );
    const json = JSON.parse(await readFile(join(tiny.scratch, 'config.json'), 'utf8')) as Record<string, unknown>;
    expect(json['tie_word_embeddings']).toBe(false);
    const again = await load({}, tiny.scratch);
    expect(await ids(again)).toEqual(await ids(loaded));
    await loaded.savePretrained(join(tiny.scratch, 'saved'));
    const saved = await load({}, join(tiny.scratch, 'saved'));
    expect(await ids(saved)).toEqual(await ids(loaded));
    for (const model of [loaded, again, saved]) model.dispose();
  });

  test('the head’s numbers are the embedding’s', async () => {
    const rules = fqnToConfig({ 'model.embed_tokens': int8WeightOnly() });
    const model = await load({ quantizationConfig: torchAoConfig(rules, { untieEmbeddingWeights: true }) });
    const plain = await load();
    const head = parameter(model, 'lm_head.weight');
    expect(model.isQuantized).toBe(true);
    expect(await bits(head)).toEqual(await bits(parameter(plain, 'model.embed_tokens.weight')));
    expect(await bits(parameter(model, 'model.embed_tokens.weight'))).not.toEqual(await bits(head));
    model.dispose();
    plain.dispose();
  });

  test('without it two schemes for one tensor are an error that names it', async () => {
    const tied = torchAoConfig(config.quantType, { includeInputOutputEmbeddings: true });
    await expect(load({ quantizationConfig: tied })).rejects.toThrow(/one shared tensor.*untieEmbeddingWeights/);
  });
});

test.each([
  ['a config', int4WeightOnly({ groupSize: 32 })],
  ['a name', 'int4wo-32'],
  ['what config.json holds', undefined],
])('quantizationConfig takes %s', async (_, given) => {
  const json = {
    quant_method: 'torchao',
    quant_type: { default: { _type: 'Int4WeightOnlyConfig', _version: 2, _data: { group_size: 32 } } },
  };
  const model = await load({ quantizationConfig: given ?? json });
  expect(model.origin?.quantization).toEqual(torchAoConfig(int4WeightOnly({ groupSize: 32 })));
  expect(parameter(model, 'model.layers.0.mlp.up_proj.weight').kind?.name).toBe('int4');
  model.dispose();
});

test('dequantize gives floats again, from packed weights, and what is saved then is a plain model', async () => {
  const model = await load({ quantizationConfig: 'int8wo' });
  const plain = await load();
  expect([model.isQuantized, plain.isQuantized]).toEqual([true, false]);
  const before = await ids(model);
  const codes = await bits(parameter(model, 'model.layers.1.self_attn.o_proj.weight'));
  const report = await model.dequantize();
  expect(report.rows).toHaveLength(14);
  expect(report.rows[0]).toMatchObject({ type: 'Int8Tensor', dtype: 'float32', shape: [64, 64], tied: [] });
  const grown = report.rows.reduce((n, r) => n + r.bytesAfter - r.bytesBefore, 0);
  expect(report.bytesAfter - report.bytesBefore).toBe(grown);
  for (const row of report.rows) expect(row.bytesAfter).toBeGreaterThan(2 * row.bytesBefore);
  expect(model.isQuantized).toBe(false);
  expect(await bits(parameter(model, 'model.layers.1.self_attn.o_proj.weight'))).toEqual(codes);
  expect(await ids(model)).toEqual(before);
  await model.savePretrained(join(tiny.scratch, 'floats'));
  const config = JSON.parse(await readFile(join(tiny.scratch, 'floats/config.json'), 'utf8')) as object;
  expect(config).toMatchObject({ dtype: 'float32' });
  expect(Object.keys(config)).not.toContain('quantization_config');
  const again = await load({}, join(tiny.scratch, 'floats'));
  expect(await ids(again)).toEqual(before);
  expect((await again.dequantize()).rows).toEqual([]);
  for (const m of [model, plain, again]) m.dispose();
});

describe('deviceMap', () => {
  const device = runtime.device;
  test.each([
    ['auto', 'auto'],
    ['a device', device],
    ['a map of the whole', { '': device }],
    ['a map of modules', { model: device, lm_head: device, 'model.layers.0': device }],
  ])('%s', async (_, deviceMap) => {
    const model = await load({ deviceMap });
    expect(model.device).toBe(device);
    model.dispose();
  });

  test.each([
    ['cuda', /deviceMap is "cuda", which is no device here.*use one of auto, .*reference/],
    [{ '': 'disk' }, /deviceMap\[''\] is "disk"/],
    [{ '': device, 'model.layers.9': device }, /names 'model.layers.9'.*modules are model, model.embed_tokens/],
    [{ 'model.layers.0': device }, /gives model.embed_tokens, .* no device.*'': 'cpu'/],
    [{ '': 'auto', 'model.layers.0.mlp': 'reference' }, /splits model.layers.0 over .* a layer lies on one device/],
  ])('%o is an error that says what there is', async (deviceMap, message) => {
    await expect(load({ deviceMap })).rejects.toThrow(message);
  });

  test('contradictions are errors', async () => {
    await expect(load({ device: 'reference', deviceMap: 'auto' })).rejects.toThrow(/give one of the two/);
    await expect(load({ torchDtype: 'bfloat16' })).rejects.toThrow(/dtype is 'float32' and torchDtype is 'bfloat16'/);
  });
});

test('torchDtype is dtype, and torch.bfloat16 is bfloat16', async () => {
  const model = await AutoModelForCausalLM.fromPretrained(tiny.folder, { runtime, torchDtype: 'torch.float32' });
  expect(model.dtype.name).toBe('float32');
  model.dispose();
});
