import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createRuntime, type Runtime } from '@ao/core';
import { int4WeightOnly, parseScheme } from '@ao/quantization';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AutoConfig } from '../src/auto-config.ts';
import { autoRuntime } from '../src/auto-runtime.ts';
import { createFile } from '../src/files/node-file.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import { planQuantization } from '../src/quantize/plan.ts';
import { rulesConfig } from '../src/quantize/rules.ts';
import { torchAoConfig, torchAoConfigFromJson } from '../src/quantize/torchao-config.ts';
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

async function changed(change: (config: Record<string, unknown>) => void): Promise<string> {
  const folder = `${tiny.scratch}-changed`;
  await mkdir(folder, { recursive: true });
  const config = JSON.parse(await readFile(join(tiny.folder, 'config.json'), 'utf8')) as Record<string, unknown>;
  change(config);
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  await writeFile(join(folder, 'model.safetensors'), await readFile(join(tiny.folder, 'model.safetensors')));
  return folder;
}

const load = (folder: string): Promise<unknown> => AutoModelForCausalLM.fromPretrained(folder, { runtime });

test('what does not fit is told before any work, by name', async () => {
  await expect(load(await changed((c) => (c['architectures'] = ['MambaForCausalLM'])))).rejects.toThrow(
    /architecture MambaForCausalLM is not supported.*LlamaForCausalLM/s,
  );
  await expect(load(await changed((c) => (c['num_hidden_layers'] = 3)))).rejects.toThrow(
    /missing model\.layers\.2\.self_attn\.q_proj/,
  );
  await expect(load(await changed((c) => (c['num_hidden_layers'] = 1)))).rejects.toThrow(/unexpected model\.layers\.1/);
  await expect(load(await changed((c) => (c['vocab_size'] = 130)))).rejects.toThrow(
    /shape is \[128,64\], config\.json means \[130,64\]/,
  );
  await expect(load(await changed((c) => (c['hidden_act'] = 'relu2')))).rejects.toThrow(
    /hidden_act is "relu2"; it must be one of silu, gelu/,
  );
  await expect(load(await changed((c) => (c['quantization_config'] = { quant_method: 'quark' })))).rejects.toThrow(
    /quantized by 'quark'/,
  );
  const empty = `${tiny.scratch}-empty`;
  await mkdir(empty, { recursive: true });
  await writeFile(join(empty, 'config.json'), await readFile(join(tiny.folder, 'config.json')));
  await expect(load(empty)).rejects.toThrow(/neither model\.safetensors nor model\.safetensors\.index\.json/);
  await writeFile(join(empty, 'pytorch_model.bin'), '');
  await expect(load(empty)).rejects.toThrow(/pytorch_model\.bin: no end record/);
});

test('a damaged checkpoint is an error, not a wrong tensor', async () => {
  const folder = await changed(() => {});
  const bytes = await readFile(join(tiny.folder, 'model.safetensors'));
  await writeFile(join(folder, 'model.safetensors'), bytes.subarray(0, bytes.length - 10));
  await expect(load(folder)).rejects.toMatchObject({ code: 'ERR_AO_FORMAT' });
});

test('loading reports progress in bytes and can be aborted', async () => {
  const seen: number[] = [];
  const model = await AutoModelForCausalLM.fromPretrained(tiny.folder, {
    runtime,
    onProgress: (e) => seen.push(e.loaded / e.total),
  });
  model.dispose();
  expect(seen.at(-1)).toBe(1);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  const controller = new AbortController();
  const work = AutoModelForCausalLM.fromPretrained(tiny.folder, {
    runtime,
    signal: controller.signal,
    onProgress: () => controller.abort(),
  });
  await expect(work).rejects.toThrow(/abort/i);
});

test('bfloat16 weights under float32 compute as float32 weights do', async () => {
  const reference = await createRuntime();
  const [exact, kept] = await Promise.all(
    [reference, runtime].map(async (rt) => {
      const model = await AutoModelForCausalLM.fromPretrained(tiny.folder, { runtime: rt, dtype: 'float32' });
      expect(model.dtype.name).toBe('float32');
      const { ids } = await model.generate([1, 5, 9], { maxNewTokens: 20, ignoreEos: true });
      model.dispose();
      return ids;
    }),
  );
  expect(kept).toEqual(exact);
});

test('rules: ordered, globs and names written out, regexes kept, unused ones told', async () => {
  const { outline } = await AutoConfig.fromPretrained(tiny.folder);
  const int8 = parseScheme('int8wo');
  const { config, unused } = rulesConfig(
    [
      ['model.layers.0.*', null],
      ['re:.*down_proj', int8],
      ['*.nothing', int8],
    ],
    int4WeightOnly({ groupSize: 32 }),
    outline,
  );
  expect(unused).toEqual(['*.nothing']);
  const plan = planQuantization(outline, torchAoConfig(config));
  const of = (name: string): unknown =>
    plan.parameters.find((p) => p.parameter.name === `${name}.weight`)?.config?.type ?? null;
  expect(of('model.layers.0.mlp.down_proj')).toBe(null);
  expect(of('model.layers.1.mlp.down_proj')).toBe('Int8WeightOnlyConfig');
  expect(of('model.layers.1.mlp.up_proj')).toBe('Int4WeightOnlyConfig');
  expect(of('model.embed_tokens')).toBe(null);
});

test('modulesToNotConvert and includeInputOutputEmbeddings mean what they mean in transformers', async () => {
  const { outline } = await AutoConfig.fromPretrained(tiny.folder);
  const config = torchAoConfig(parseScheme('int8wo'), {
    modulesToNotConvert: ['model.layers.0', 'up_proj'],
    includeInputOutputEmbeddings: true,
  });
  const left = planQuantization(outline, config).parameters.filter((p) => p.config === null);
  expect(left.map((p) => p.parameter.name)).toHaveLength(8);
  expect(left.at(-1)?.reason).toMatch(/modulesToNotConvert/);
});

test('quantization_config of older transformers is refused with what to write instead', () => {
  expect(() =>
    torchAoConfigFromJson({ quant_method: 'torchao', quant_type: 'int4_weight_only' }, 'config.json'),
  ).toThrow(/gave up/);
  expect(() => torchAoConfigFromJson({ quant_method: 'torchao', quant_type: {} }, 'config.json')).toThrow(/"default"/);
});

test('a file appears when it is complete, or not at all', async () => {
  const path = join(`${tiny.scratch}-files`, 'a.bin');
  const sink = await createFile(path);
  await sink.write(Uint8Array.of(1, 2, 3));
  await expect(readFile(path)).rejects.toThrow(/ENOENT/);
  await sink.writeAt(1, Uint8Array.of(9));
  await sink.close();
  expect([...(await readFile(path))]).toEqual([1, 9, 3]);
  const other = await createFile(path);
  await other.write(Uint8Array.of(7));
  await other.abort();
  expect([...(await readFile(path))]).toEqual([1, 9, 3]);
  await rm(path);
});
