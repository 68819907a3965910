// torchao's checkpoints load, give its outputs, and are written back to the same names, bytes and metadata.

import { readFileSync } from 'node:fs';
import {
  bytesSink,
  bytesSource,
  createRuntime,
  type Dense,
  dequantize,
  dtypeByName,
  fromBits,
  linear,
  openSafetensors,
  type Runtime,
  relu,
  type Tensor,
  tensor,
} from '@ao/core';
import { expectGolden, fileSource, goldenCase, goldenCases, goldenInputs, goldenPath } from '@ao/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  configFromDict,
  type FlattenOptions,
  fileNamesOf,
  flattenTensorStateDict,
  int8,
  isMetadataTorchao,
  parseScheme,
  quantization,
  quantizeTensor,
  readStateDict,
  unflattenTensorStateDict,
  writeStateDict,
} from '../src/index.ts';
import { matrix } from './model.ts';

let rt: Runtime;
beforeAll(async () => {
  rt = await createRuntime({ use: [quantization()] });
});

const schemes = goldenCases((c) => c.family === 'serialization').map((c) => c.name.replace('serialization/', ''));
const get = (dict: ReadonlyMap<string, Tensor>, name: string): Tensor => dict.get(name) as Tensor;

async function forward(dict: ReadonlyMap<string, Tensor>, name: string): Promise<Tensor> {
  const { x } = await goldenInputs(goldenCase(`serialization/${name}`));
  const input = fromBits(rt, x!.bits, x!.shape, dtypeByName(x!.dtype));
  return linear(relu(linear(input, get(dict, 'fc1.weight'), get(dict, 'fc1.bias'))), get(dict, 'fc2.weight'));
}

async function written(dict: ReadonlyMap<string, Tensor>, options: FlattenOptions = {}): Promise<Uint8Array> {
  const sink = bytesSink();
  await writeStateDict(dict, sink, options);
  return sink.bytes();
}

describe.each(schemes)('checkpoint_%s', (name) => {
  const path = goldenPath(`checkpoint_${name}.safetensors`);

  it('loads and gives the outputs of torchao', async () => {
    const dict = await readStateDict(rt, fileSource(path));
    expect([...dict.keys()]).toEqual(['fc1.weight', 'fc1.bias', 'fc2.weight']);
    await expectGolden(goldenCase(`serialization/${name}`), {
      fc1: dequantize(get(dict, 'fc1.weight')),
      fc2: dequantize(get(dict, 'fc2.weight')),
      y: await forward(dict, name),
    });
  });

  it('is written with the same names, order, bytes and metadata', async () => {
    const dict = await readStateDict(rt, fileSource(path));
    const [ours, theirs] = [
      await openSafetensors(bytesSource(await written(dict, { form: 'torchao' }))),
      await openSafetensors(fileSource(path)),
    ];
    expect(ours.names).toEqual(theirs.names);
    expect(ours.metadata).toEqual(theirs.metadata);
    for (const entry of theirs.names) {
      expect(ours.entry(entry)).toEqual(theirs.entry(entry));
      expect(await ours.read(entry)).toEqual(await theirs.read(entry));
    }
    // Only the order of the metadata differs: torchao's comes from a hash table.
    expect((await written(dict, { form: 'torchao' })).byteLength).toBe(readFileSync(path).byteLength);
  });

  it('is what quantizing the dequantized weights again gives, but for rounding of codes at ties', async () => {
    const dict = await readStateDict(rt, fileSource(path));
    const config = configFromDict(
      JSON.parse(readFileSync(goldenPath(`checkpoint_${name}.config.json`), 'utf8')).quantization_config.quant_type
        .default,
    );
    const w = get(dict, 'fc1.weight');
    const again = quantizeTensor(dequantize(w), config);
    expect(again.kind).toBe(w.kind);
    const [a, b] = [
      flattenTensorStateDict(new Map([['fc1.weight', w]])),
      flattenTensorStateDict(new Map([['fc1.weight', again]])),
    ];
    expect(b.metadata).toEqual(a.metadata);
    expect([...b.tensors.keys()]).toEqual([...a.tensors.keys()]);
  });
});

describe('state dicts', () => {
  const make = (): Map<string, Tensor> =>
    new Map<string, Tensor>([
      ['a.weight', quantizeTensor(matrix(rt, 4, 64, 1), parseScheme('int4wo-32:int8-group'))],
      ['a.bias', tensor(rt, [1, 2, 3, 4])],
      ['weight', quantizeTensor(matrix(rt, 4, 64, 2), parseScheme('int8dq-asym'))],
      ['b.weight', quantizeTensor(matrix(rt, 4, 64, 3), parseScheme('intx4-asym-32'))],
    ]);

  it("survive a file for every kind, with our own fields beside torchao's", async () => {
    const dict = make();
    const back = await readStateDict(rt, bytesSource(await written(dict)));
    expect([...back.keys()]).toEqual([...dict.keys()]);
    for (const [name, t] of dict) {
      const u = get(back, name);
      expect([u.kind, u.shape, u.dtype]).toEqual([t.kind, t.shape, t.dtype]);
      expect((u as Tensor & { attrs?: unknown }).attrs).toEqual((t as Tensor & { attrs?: unknown }).attrs);
      expect([...u.dataSync()]).toEqual([...t.dataSync()]);
    }
  });

  it('have the text of torchao for int4', () => {
    const { tensors, metadata } = flattenTensorStateDict(
      new Map([['m.weight', quantizeTensor(matrix(rt, 4, 64, 1), parseScheme('int4wo-32'))]]),
    );
    expect(metadata['m.weight']).toBe(
      '{"_type": "Int4Tensor", "_data": {"activation_dtype": {"_type": "torch.dtype", "_data": "bfloat16"}, "block_size": [1, 32], "shape": [4, 64]}, "_tensor_data_names": ["qdata", "scale", "zero_point"]}',
    );
    expect([...tensors].map(([key, t]) => `${key} ${t.dtype.name} ${t.shape}`)).toEqual([
      'm._weight_qdata int8 4,32',
      'm._weight_scale float32 2,4',
      'm._weight_zero_point float32 2,4',
    ]);
    expect(metadata.tensor_names).toBe('["m.weight"]');
    expect(fileNamesOf('m.weight', metadata)).toEqual([...tensors.keys()]);
  });

  it('wait for the parts that another shard holds', async () => {
    const { tensors, metadata } = flattenTensorStateDict(make());
    const late = tensors.get('a._weight_scale') as Dense;
    tensors.delete('a._weight_scale');
    const first = await unflattenTensorStateDict(rt, tensors, metadata);
    expect([...first.dict.keys()]).toEqual(['a.bias', 'weight', 'b.weight']);
    expect([...first.leftover.keys()]).toEqual(['a._weight_qdata', 'a._weight_zero_point']);
    const second = await unflattenTensorStateDict(
      rt,
      new Map([...first.leftover, ['a._weight_scale', late]]),
      metadata,
    );
    expect([...second.dict.keys()]).toEqual(['a.weight']);
    expect(second.leftover.size).toBe(0);
  });

  it('name the extension that a file needs', async () => {
    const bare = await createRuntime();
    await expect(readStateDict(bare, fileSource(goldenPath('checkpoint_int8wo.safetensors')))).rejects.toThrow(
      "quantization() from '@ao/quantization'",
    );
    const integers = await createRuntime({ use: [int8()] });
    await expect(readStateDict(integers, fileSource(goldenPath('checkpoint_float8wo.safetensors')))).rejects.toThrow(
      'no extension in use reads a Float8Tensor',
    );
  });

  it('are recognized by their metadata, and damaged ones refused', async () => {
    const { tensors, metadata } = flattenTensorStateDict(make());
    expect(isMetadataTorchao(metadata)).toBe(true);
    expect(isMetadataTorchao({ format: 'pt' })).toBe(false);
    expect(isMetadataTorchao({ ...metadata, 'a.weight': '{' })).toBe(false);
    expect(isMetadataTorchao({ tensor_names: '[]' })).toBe(false);
    await expect(unflattenTensorStateDict(rt, tensors, { ...metadata, 'a.weight': '{' })).rejects.toThrow('no JSON');
    await expect(unflattenTensorStateDict(rt, tensors, { ...metadata, tensor_names: '{}' })).rejects.toThrow(
      'no list of names',
    );
    const wrong = metadata.weight?.replace('"PerRow"', '"PerMoon"') as string;
    await expect(unflattenTensorStateDict(rt, tensors, { ...metadata, weight: wrong })).rejects.toThrow(
      'PerRow or PerTensor',
    );
  });
});
