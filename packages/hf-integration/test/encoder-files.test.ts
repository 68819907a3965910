// Encoders in files: quantized, saved and loaded again; checkpoints under older names or as a part of a larger model; errors.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesSource, openSafetensors, type SafetensorsItem, writeSafetensors } from '@ao/core';
import { parseScheme } from '@ao/quantization';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AutoModel } from '../src/auto-model.ts';
import { autoRuntime } from '../src/auto-runtime.ts';
import type { Json } from '../src/config/read-json.ts';
import { createFile } from '../src/files/node-file.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import type { VisionEncoder } from '../src/models/encoders/vision-encoder.ts';
import { dryRun } from '../src/quantize/dry-run.ts';
import { inspect } from '../src/quantize/inspect.ts';
import { quantizeCheckpoint } from '../src/quantize/quantize-checkpoint.ts';
import { torchAoConfig } from '../src/quantize/torchao-config.ts';
import { cosine, encoder, numbers } from './encoders.ts';
import { STORIES } from './stories.ts';

const runtime = await autoRuntime();
afterAll(() => runtime.close());
let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'ao-encoders-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const IDS = [2, 7, 9, 14, 30, 3];
const load = { runtime, dtype: 'float32' };
const scheme = (name: string) => torchAoConfig(parseScheme(name));

async function pixels(name: string): Promise<Float32Array> {
  const { pixel_values: all } = await numbers(`${name}/expected.safetensors`);
  return Float32Array.from(all!.values.slice(0, all!.values.length / 3));
}

/** A copy of a fixture with other names in its weights, more tensors, and another config. */
async function altered(
  from: string,
  to: string,
  rename: (name: string) => string,
  config: (json: Json) => Json,
  more: readonly string[] = [],
): Promise<string> {
  const folder = join(scratch, to);
  await cp(encoder(from), folder, { recursive: true });
  const file = await openSafetensors(bytesSource(await readFile(join(folder, 'model.safetensors')), from));
  const own = new Map(file.names.map((name) => [rename(name), name]));
  const items: SafetensorsItem[] = [...own].map(([name, old]) => ({ ...file.entry(old), name }));
  items.push(...more.map((name) => ({ name, dtype: 'F32', shape: [2] })));
  await writeSafetensors(await createFile(join(folder, 'model.safetensors')), items, ({ name, begin, end }) =>
    own.has(name) ? file.read(own.get(name)!) : new Uint8Array(end - begin),
  );
  const json = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as Json;
  await writeFile(join(folder, 'config.json'), JSON.stringify(config(json)));
  return folder;
}

test.each(['int8wo', 'int8dq', 'int4wo-32'])(
  '%s: linears are quantized, and saved and loaded give equal vectors',
  async (name) => {
    const out = join(scratch, name);
    using plain = await AutoModel.fromPretrained(encoder('minilm'), load);
    using model = await AutoModel.fromPretrained(encoder('minilm'), { ...load, quantizationConfig: scheme(name) });
    const [exact, vector] = [await plain.embed(IDS), await model.embed(IDS)];
    expect(vector).not.toEqual(exact);
    expect(cosine(vector, exact)).toBeGreaterThan(name === 'int4wo-32' ? 0.95 : 0.995);
    await model.savePretrained(out);
    const { modules } = await inspect(out);
    const quantized = modules.filter((m) => m.type !== undefined).map((m) => m.parameter);
    expect(quantized).toHaveLength(2 * 6 + 1);
    expect(quantized).toContain('encoder.layer.1.attention.self.query.weight');
    using again = await AutoModel.fromPretrained(out, { runtime });
    expect(await again.embed(IDS)).toEqual(vector);
  },
);

test('disk to disk gives what quantizing while loading gives, and the dry run its report', async () => {
  const quantizationConfig = scheme('int8wo');
  for (const name of ['vit', 'clip-projection']) {
    const image = await pixels(name);
    const out = join(scratch, `disk-${name}`);
    const report = await quantizeCheckpoint(encoder(name), out, { quantizationConfig, runtime });
    const planned = await dryRun(encoder(name), quantizationConfig, runtime);
    expect(planned.rows.map((r) => [r.fqn, r.scheme])).toEqual(report.rows.map((r) => [r.fqn, r.scheme]));
    const options = { runtime, dtype: 'bfloat16' };
    using direct = await AutoModel.fromPretrained<VisionEncoder>(encoder(name), { ...options, quantizationConfig });
    using stored = await AutoModel.fromPretrained<VisionEncoder>(out, options);
    expect(await stored.embed(image)).toEqual(await direct.embed(image));
  }
});

test('a classifier’s head stays as it is unless a rule names it', async () => {
  const { rows } = await dryRun(encoder('vit-classifier'), scheme('int8wo'), runtime);
  expect(rows.find((r) => r.fqn === 'classifier.weight')?.scheme).toBe(null);
  expect(rows.find((r) => r.fqn === 'vit.encoder.layer.0.output.dense.weight')?.scheme).toBe('int8wo');
});

test('BertForMaskedLM under its old names is the encoder in it, and is saved as one', async () => {
  const folder = await altered(
    'minilm',
    'masked-lm',
    (name) => `bert.${name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta')}`,
    (json) => ({ ...json, architectures: ['BertForMaskedLM'] }),
    ['cls.predictions.bias', 'bert.embeddings.position_ids'],
  );
  using plain = await AutoModel.fromPretrained(encoder('minilm'), load);
  using model = await AutoModel.fromPretrained(folder, load);
  expect(await model.embed(IDS)).toEqual(await plain.embed(IDS));
  await model.savePretrained(join(scratch, 'masked-lm-saved'));
  const saved = JSON.parse(await readFile(join(scratch, 'masked-lm-saved', 'config.json'), 'utf8')) as Json;
  expect(saved['architectures']).toEqual(['BertModel']);
  using again = await AutoModel.fromPretrained(join(scratch, 'masked-lm-saved'), load);
  expect(await again.embed(IDS)).toEqual(await plain.embed(IDS));
});

test('CLIPModel is its vision half with the projection, also when quantized from disk to disk', async () => {
  const image = await pixels('clip-projection');
  const folder = await altered(
    'clip-projection',
    'clip',
    (name) => name,
    ({ projection_dim, ...vision_config }) => ({
      architectures: ['CLIPModel'],
      model_type: 'clip',
      dtype: 'bfloat16',
      projection_dim,
      text_config: {},
      vision_config,
    }),
    ['text_model.final_layer_norm.weight', 'text_projection.weight', 'logit_scale'],
  );
  using plain = await AutoModel.fromPretrained<VisionEncoder>(encoder('clip-projection'), load);
  using model = await AutoModel.fromPretrained<VisionEncoder>(folder, load);
  expect(await model.embed(image)).toEqual(await plain.embed(image));
  await model.savePretrained(join(scratch, 'clip-saved'));
  using again = await AutoModel.fromPretrained<VisionEncoder>(join(scratch, 'clip-saved'), load);
  expect(await again.embed(image)).toEqual(await plain.embed(image));
  const out = join(scratch, 'clip-int8');
  await quantizeCheckpoint(folder, out, { quantizationConfig: scheme('int8wo'), runtime });
  using quantized = await AutoModel.fromPretrained<VisionEncoder>(out, load);
  expect(cosine(await quantized.embed(image), await plain.embed(image))).toBeGreaterThan(0.99);
});

test('CLIPVisionModel as transformers 4 wrote it', async () => {
  const image = await pixels('clip-vision');
  const folder = await altered(
    'clip-vision',
    'clip-4',
    (name) => `vision_model.${name}`,
    (json) => json,
  );
  using plain = await AutoModel.fromPretrained<VisionEncoder>(encoder('clip-vision'), load);
  using model = await AutoModel.fromPretrained<VisionEncoder>(folder, load);
  expect(await model.embed(image)).toEqual(await plain.embed(image));
});

test('what does not fit is told before any work, by name', async () => {
  const config = (to: string, change: Json): Promise<string> =>
    altered(
      'minilm',
      to,
      (name) => name,
      (json) => ({ ...json, ...change }),
    );
  const refused = async (folder: string | Promise<string>, message: RegExp): Promise<void> =>
    expect(AutoModel.fromPretrained(await folder, load)).rejects.toThrow(message);
  await refused(STORIES, /LlamaForCausalLM is no model of AutoModel.*AutoModelForCausalLM/s);
  await expect(AutoModelForCausalLM.fromPretrained(encoder('vit'), load)).rejects.toThrow(
    /ViTModel is no model of AutoModelForCausalLM.*AutoModel\.fromPretrained/s,
  );
  await refused(config('e1', { architectures: ['T5Model'] }), /T5Model is not supported.*BertModel.*CLIPVisionModel/s);
  await refused(config('e2', { hidden_act: 'mish' }), /hidden_act is "mish".*gelu/s);
  await refused(config('e3', { num_attention_heads: 5 }), /num_attention_heads is 5.*divisor/s);
  await refused(config('e4', { position_embedding_type: 'relative_key' }), /position_embedding_type/);
  await refused(config('e5', { num_hidden_layers: 3 }), /missing encoder\.layer\.2\.attention\.self\.query\.weight/);
  const options = { ...load, dtype: 'int8' };
  await expect(AutoModel.fromPretrained(encoder('minilm'), options)).rejects.toThrow(/dtype 'int8' cannot hold/);
  const pooling = await config('e6', {});
  await writeFile(join(pooling, '1_Pooling/config.json'), '{"pooling_mode_max_tokens": true}');
  await refused(pooling, /pooling by max is not supported.*cls, mean/s);
  await rm(join(pooling, '1_Pooling/config.json'));
  await refused(pooling, /1_Pooling.config\.json does not exist/);
  await writeFile(join(pooling, 'modules.json'), '[{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}]');
  await refused(pooling, /the module Dense is not supported/);
});

test('what embed cannot take is told by name', async () => {
  using model = await AutoModel.fromPretrained(encoder('minilm'), load);
  await expect(model.embed('a dog')).rejects.toThrow(/without a tokenizer.*AutoTokenizer/s);
  await expect(model.embed([[2, 99, 3]])).rejects.toThrow(/id 99 is not in the vocabulary of 64 \(text 0\)/);
  await expect(model.embed([[2, 3], []])).rejects.toThrow(/text 1 has no tokens/);
  await expect(model.embed(Array.from({ length: 49 }, () => 4))).rejects.toThrow(/49 tokens, the model 48 positions/);
  await expect(model.embed(IDS, { batchSize: 0 })).rejects.toThrow(/batchSize is 0/);
  await expect(model.embed(IDS, { pooling: 'max' as never })).rejects.toThrow(/pooling is 'max'.*cls or mean/s);
  await expect(model.embed(IDS, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
  expect(await model.embed([])).toEqual([]);
  using images = await AutoModel.fromPretrained<VisionEncoder>(encoder('vit'), load);
  const picture = { data: new Uint8Array(12), width: 2, height: 2 };
  await expect(images.embed(picture)).rejects.toThrow(/without a processor.*AutoImageProcessor/s);
  await expect(images.embed(new Float32Array(7))).rejects.toThrow(/7 pixel values, the model takes 3 x 24 x 24/);
});
