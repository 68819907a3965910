import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Runtime } from '@ao/core';
import { parseScheme } from '@ao/quantization';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AutoConfig } from '../src/auto-config.ts';
import { autoRuntime } from '../src/auto-runtime.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import { dryRun } from '../src/quantize/dry-run.ts';
import { inspect } from '../src/quantize/inspect.ts';
import { quantizeCheckpoint } from '../src/quantize/quantize-checkpoint.ts';
import { rulesConfig } from '../src/quantize/rules.ts';
import { type TorchAoConfig, torchAoConfig } from '../src/quantize/torchao-config.ts';
import { type Tiny, tinyLlama } from './tiny.ts';

let runtime: Runtime;
let tiny: Tiny;
beforeAll(async () => {
  runtime = await autoRuntime();
  tiny = await tinyLlama();
});
afterAll(async () => {
  await tiny.remove();
  await runtime.close();
});

const scheme = (name: string): TorchAoConfig => torchAoConfig(parseScheme(name));
const prompt = [1, 17, 40, 99];

/** Greedy tokens of a folder. */
async function tokens(
  folder: string,
  options: { quantizationConfig?: TorchAoConfig; dtype?: string } = {},
): Promise<readonly number[]> {
  const model = await AutoModelForCausalLM.fromPretrained(folder, { runtime, ...options });
  const { ids } = await model.generate(prompt, { maxNewTokens: 12, ignoreEos: true });
  model.dispose();
  return ids;
}

describe.each(['int8wo', 'int4wo-32', 'intx4-sym-32', 'intx4-asym-32', '8da4w-32', 'int8dq', 'int4wo-32:int8-group'])(
  '%s',
  (name) => {
    test('disk to disk, while loading and saved again: the same file, the same tokens', async () => {
      const [streamed, saved] = [`${tiny.scratch}-${name}-streamed`, `${tiny.scratch}-${name}-saved`].map((s) =>
        s.replace(':', '-'),
      ) as [string, string];
      const report = await quantizeCheckpoint(tiny.folder, streamed, { quantizationConfig: scheme(name), runtime });
      const quantized = report.rows.filter((row) => row.scheme === name);
      expect(quantized).toHaveLength(14);
      for (const row of quantized) {
        expect(row.bytesAfter).toBeLessThan(row.bytesBefore);
        expect(row.sqnr).toBeGreaterThan(15);
      }
      const model = await AutoModelForCausalLM.fromPretrained(tiny.folder, {
        runtime,
        quantizationConfig: scheme(name),
      });
      await model.savePretrained(saved);
      model.dispose();
      expect(await readFile(join(saved, 'model.safetensors'))).toEqual(
        await readFile(join(streamed, 'model.safetensors')),
      );
      const ids = await tokens(streamed);
      expect(ids).toHaveLength(12);
      expect(await tokens(saved)).toEqual(ids);
      expect(await tokens(tiny.folder, { quantizationConfig: scheme(name) })).toEqual(ids);
    });
  },
);

test('the quantized folder says what it is: config.json in transformers’ form, inspect', async () => {
  const out = `${tiny.scratch}-inspect`;
  await quantizeCheckpoint(tiny.folder, out, { quantizationConfig: scheme('int4wo-32'), runtime });
  const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'));
  expect(config.quantization_config).toMatchObject({
    quant_method: 'torchao',
    quant_type: { default: { _type: 'Int4WeightOnlyConfig', _version: 2, _data: { group_size: 32 } } },
    modules_to_not_convert: null,
    include_input_output_embeddings: false,
  });
  const { modules, parameters } = await inspect(out);
  expect(modules[0]).toMatchObject({
    name: 'model.embed_tokens',
    scheme: 'bfloat16',
    shape: [128, 64],
    bytes: 128 * 64 * 2,
  });
  expect(modules[1]).toMatchObject({ scheme: 'int4wo-32', type: 'Int4Tensor', shape: [64, 64] });
  expect(parameters).toBe((await inspect(tiny.folder)).parameters);
  await expect(quantizeCheckpoint(out, `${out}-2`, { quantizationConfig: scheme('int8wo'), runtime })).rejects.toThrow(
    /quantized already/,
  );
  await expect(tokens(out, { quantizationConfig: scheme('int8wo') })).rejects.toThrow(/quantized already/);
});

test('a tied head is quantized once, shared with the embedding, by either name', async () => {
  const { outline } = await AutoConfig.fromPretrained(tiny.folder);
  const byHead = rulesConfig([['lm_head', parseScheme('int8wo')]], parseScheme('int4wo-32'), outline).config;
  const byEmbedding = rulesConfig([['*embed*', parseScheme('int8wo')]], parseScheme('int4wo-32'), outline).config;
  const report = await quantizeCheckpoint(tiny.folder, `${tiny.scratch}-tied`, {
    quantizationConfig: torchAoConfig(byHead),
    runtime,
  });
  expect(report.rows[0]).toMatchObject({
    fqn: 'model.embed_tokens.weight',
    tied: ['lm_head.weight'],
    scheme: 'int8wo',
  });
  const model = await AutoModelForCausalLM.fromPretrained(`${tiny.scratch}-tied`, { runtime });
  const named = model as unknown as { lm_head: { weight: unknown }; model: { embed_tokens: { weight: unknown } } };
  expect(named.lm_head.weight).toBe(named.model.embed_tokens.weight);
  model.dispose();
  expect(await tokens(`${tiny.scratch}-tied`)).toEqual(
    await tokens(tiny.folder, { quantizationConfig: torchAoConfig(byEmbedding) }),
  );
  const clash = rulesConfig(
    [
      ['lm_head', parseScheme('int8wo')],
      ['*embed*', parseScheme('int4wo-32')],
    ],
    null,
    outline,
  ).config;
  await expect(dryRun(tiny.folder, torchAoConfig(clash), runtime)).rejects.toThrow(
    /different schemes for one shared tensor/,
  );
});

test('an untied head is left unless named, biases and shards survive', async () => {
  const other = await tinyLlama({ tied: false, biases: true, maxShardSize: 30_000 });
  try {
    expect(existsSync(join(other.folder, 'model.safetensors.index.json'))).toBe(true);
    const out = other.scratch;
    const report = await quantizeCheckpoint(other.folder, out, {
      quantizationConfig: scheme('int8wo'),
      runtime,
      maxShardSize: 20_000,
    });
    expect(report.rows.at(-1)).toMatchObject({
      fqn: 'lm_head.weight',
      scheme: null,
      skipped: expect.stringMatching(/head/),
    });
    expect((await readdir(out)).filter((name) => name.endsWith('.safetensors')).length).toBeGreaterThan(2);
    expect(await tokens(out)).toEqual(await tokens(other.folder, { quantizationConfig: scheme('int8wo') }));
  } finally {
    await other.remove();
  }
});

test('what cannot be quantized is one error before any work that names every module', async () => {
  const out = `${tiny.scratch}-refused`;
  const work = quantizeCheckpoint(tiny.folder, out, { quantizationConfig: scheme('float8dq-int4'), runtime });
  await expect(work).rejects.toMatchObject({ code: 'ERR_AO_CONFIG' });
  // its groups of 128 are whole, and the down projections have 96 columns
  const message = await work.catch((error: Error) => error.message);
  for (const layer of [0, 1]) expect(message).toContain(`layers.${layer}.mlp.down_proj: 96 columns are no multiple`);
  expect(message).toMatch(/use int4WeightOnly\(\{ groupSize: 64 \}\)/);
  expect(existsSync(out)).toBe(false);
});

test('an abort leaves nothing behind, and the model that was there as it was', async () => {
  const out = `${tiny.scratch}-aborted`;
  const abortAt = (
    phase: string,
  ): AbortController & { onProgress(e: { phase: string; loaded: number; total: number }): void } => {
    const controller = new AbortController();
    return Object.assign(controller, {
      onProgress: (e: { phase: string; loaded: number; total: number }) => {
        if (e.phase === phase && e.loaded > e.total / 2) controller.abort();
      },
    });
  };
  for (const phase of ['quantize', 'save']) {
    const { signal, onProgress } = abortAt(phase);
    const work = quantizeCheckpoint(tiny.folder, out, {
      quantizationConfig: scheme('int8wo'),
      runtime,
      signal,
      onProgress,
    });
    await expect(work).rejects.toThrow(/abort/i);
    expect(existsSync(out)).toBe(false);
  }
  await quantizeCheckpoint(tiny.folder, out, { quantizationConfig: scheme('int8wo'), runtime });
  const before = await tokens(out);
  const { signal, onProgress } = abortAt('save');
  const options = { quantizationConfig: scheme('int4wo-32'), runtime };
  await expect(quantizeCheckpoint(tiny.folder, out, options)).rejects.toThrow(/holds a model already/);
  await expect(
    quantizeCheckpoint(tiny.folder, out, { ...options, overwrite: true, signal, onProgress }),
  ).rejects.toThrow(/abort/i);
  expect(await tokens(out)).toEqual(before);
  await quantizeCheckpoint(tiny.folder, out, { ...options, overwrite: true });
  expect(await tokens(out)).toEqual(await tokens(tiny.folder, { quantizationConfig: scheme('int4wo-32') }));
  expect((await readdir(dirname(out))).filter((name) => name.startsWith('.'))).toEqual([]);
});

test('a dry run reports the same rows and writes nothing', async () => {
  const out = `${tiny.scratch}-dry`;
  const dry = await dryRun(tiny.folder, scheme('int8wo'), runtime);
  const real = await quantizeCheckpoint(tiny.folder, out, { quantizationConfig: scheme('int8wo'), runtime });
  const facts = (rows: typeof dry.rows): unknown =>
    rows.map(({ fqn, scheme: s, shape, skipped }) => ({ fqn, s, shape, skipped }));
  expect(facts(dry.rows)).toEqual(facts(real.rows));
  expect(dry.dryRun).toBe(true);
  expect(Math.abs(dry.bytesAfter / real.bytesAfter - 1)).toBeLessThan(0.05);
});
