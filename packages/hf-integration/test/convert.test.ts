import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { autoRuntime } from '../src/auto-runtime.ts';
import { type ConvertOptions, convertCheckpoint } from '../src/convert/convert-checkpoint.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import { inspect } from '../src/quantize/inspect.ts';
import { quantizeCheckpoint } from '../src/quantize/quantize-checkpoint.ts';
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

const out = (name: string): string => join(tiny.scratch, name);
const convert = (from: string, to: string, options: ConvertOptions = {}) =>
  convertCheckpoint(from, out(to), { runtime, ...options });
const weights = async (folder: string): Promise<Map<string, Float32Array>> => {
  const model = await AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'float32' });
  const all = new Map<string, Float32Array>();
  for (const [name, t] of model.namedParameters()) all.set(name, (await t.data()) as Float32Array);
  model.dispose();
  return all;
};
const json = async (folder: string) =>
  JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as Record<string, unknown>;
const file = (folder: string) => readFile(join(folder, 'model.safetensors'));

test('bfloat16 to float32 and back is the same file', async () => {
  const report = await convert(tiny.folder, 'f32', { dtype: 'float32' });
  expect(report).toMatchObject({ cast: report.tensors, dequantized: 0, bytesAfter: 2 * report.bytesBefore });
  expect(await json(out('f32'))).toMatchObject({ dtype: 'float32' });
  expect(await json(out('f32'))).not.toHaveProperty('torch_dtype');
  expect(await weights(out('f32'))).toEqual(await weights(tiny.folder));
  await convert(out('f32'), 'bf16', { dtype: 'bfloat16' });
  await convert(tiny.folder, 'same');
  expect(await file(out('bf16'))).toEqual(await file(out('same')));
});

test('several files and one again are the same bytes', async () => {
  const { files } = await convert(tiny.folder, 'shards', { maxShardSize: 30_000 });
  expect(files.length).toBeGreaterThan(3);
  expect((await readdir(out('shards'))).sort()).toEqual(
    ['config.json', 'model.safetensors.index.json', ...files].sort(),
  );
  expect(await weights(out('shards'))).toEqual(await weights(tiny.folder));
  expect((await convert(out('shards'), 'one')).cast).toBe(0);
  expect(await weights(out('one'))).toEqual(await weights(tiny.folder));
});

test.each([
  ['intx3-asym-32', 3 + 24 / 32], // 3 bits, and a bfloat16 scale and an int8 zero point for each 32
  ['intx3-sym-32', 3 + 16 / 32],
  ['intx2-sym-64', 2 + 32 / 96], // 96 columns have two groups, the last of them short
  ['int4wo-32', 4 + 32 / 32],
  ['int8wo', 8 + 40 / 96],
])('%s: %d bits per weight, counted from the file', async (scheme, bits) => {
  const { rows } = await quantizeCheckpoint(tiny.folder, out(`bits ${scheme}`), {
    quantizationConfig: scheme,
    runtime,
  });
  const down = rows.find((r) => r.fqn === 'model.layers.0.mlp.down_proj.weight');
  expect(down).toMatchObject({ shape: [64, 96], bitsPerWeight: bits });
  const inspected = await inspect(out(`bits ${scheme}`));
  expect(inspected.modules.find((m) => m.parameter === down?.fqn)).toMatchObject({ bitsPerWeight: bits });
  const { size } = await stat(join(out(`bits ${scheme}`), 'model.safetensors'));
  const header = (await file(out(`bits ${scheme}`))).readUInt32LE(0) + 8;
  expect(inspected.bitsPerWeight).toBe((8 * (size - header)) / inspected.parameters);
});

test('ours packs codes to their bits; torchao’s layout and back are the same numbers', async () => {
  await quantizeCheckpoint(tiny.folder, out('intx3'), { quantizationConfig: 'intx3-asym-32', runtime });
  const report = await convert(out('intx3'), 'intx3-torchao', { to: 'torchao' });
  expect(report).toMatchObject({ dequantized: 0, rewritten: 14, cast: 0 });
  expect(report.bytesAfter).toBeGreaterThan(1.5 * report.bytesBefore);
  const types = async (name: string) => new Set((await inspect(out(name))).modules.flatMap((m) => m.type ?? []));
  expect(await types('intx3')).toEqual(new Set(['IntxTensor']));
  expect(await types('intx3-torchao')).toEqual(new Set(['IntxUnpackedToInt8Tensor']));
  expect(await json(out('intx3-torchao'))).toEqual(await json(out('intx3')));
  expect(await weights(out('intx3-torchao'))).toEqual(await weights(out('intx3')));
  // a folder in torchao's layout, as older versions wrote it, is saved in ours again
  const model = await AutoModelForCausalLM.fromPretrained(out('intx3-torchao'), { runtime });
  await model.savePretrained(out('intx3-again'));
  model.dispose();
  expect(await file(out('intx3-again'))).toEqual(await file(out('intx3')));
  await expect(convert(tiny.folder, 'x', { to: 'torchao' })).rejects.toThrow(/is not quantized: to torchao/);
});

test('a quantized folder keeps its bytes, or becomes floats with the numbers that its codes mean', async () => {
  await quantizeCheckpoint(tiny.folder, out('q'), { quantizationConfig: 'int8wo', runtime });
  await convert(out('q'), 'q2');
  expect(await file(out('q2'))).toEqual(await file(out('q')));
  expect(await json(out('q2'))).toEqual(await json(out('q')));
  const report = await convert(out('q'), 'floats', { dequantize: true, dtype: 'float32' });
  expect(report).toMatchObject({ dequantized: 14, cast: 6 });
  expect(await json(out('floats'))).not.toHaveProperty('quantization_config');
  const model = await AutoModelForCausalLM.fromPretrained(out('q'), { runtime });
  await model.dequantize();
  const name = 'model.layers.1.mlp.up_proj.weight';
  const want = await new Map(model.namedParameters()).get(name)!.data();
  model.dispose();
  await convert(out('q'), 'floats16', { dequantize: true });
  expect((await weights(out('floats16'))).get(name)).toEqual(want);
  expect((await json(out('floats16')))['torch_dtype']).toBe('bfloat16');
});

test.each([
  [{ dtype: 'int8' }, /dtype 'int8' is none.*float32, bfloat16, float16/],
  [{ dequantize: true }, /is not quantized/],
])('%o is refused before any work', async (options, message) => {
  await expect(convert(tiny.folder, 'refused', options)).rejects.toThrow(message);
  expect(await readdir(tiny.scratch)).not.toContain('refused');
});

test('a quantized folder is not cast, a model is not overwritten unless asked', async () => {
  await expect(convert(out('q'), 'refused', { dtype: 'float32' })).rejects.toThrow(/is quantized.*dequantize as well/);
  await expect(convert(tiny.folder, 'one')).rejects.toThrow(/holds a model already/);
  await expect(convertCheckpoint(tiny.folder, tiny.folder, { runtime })).rejects.toThrow(/the model’s own/);
  await convert(tiny.folder, 'one', { overwrite: true });
});
