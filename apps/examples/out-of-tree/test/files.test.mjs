// Weights and configs to files and back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesSink, bytesSource, createRuntime, loadStateDict, stateDict } from '@ao/core';
import { cpu } from '@ao/kernels-cpu';
import { configFromJson, configToJson, quantize_, readStateDict, writeStateDict } from '@ao/quantization';
import { square8Kind, square8WeightOnly } from 'ao-example-square8';
import { input, Model, onCpu, onReference } from './model.mjs';

async function saved(rt) {
  const model = new Model(rt);
  await quantize_(model, square8WeightOnly({ groupSize: 16 }));
  const sink = bytesSink();
  await writeStateDict(stateDict(model), sink);
  return { model, bytes: sink.bytes() };
}

test('a saved model loads to the same bits, on either backend', async () => {
  const rt = await onCpu();
  const { model, bytes } = await saved(rt);
  const dict = await readStateDict(rt, bytesSource(bytes));
  const loaded = new Model(rt);
  loadStateDict(loaded, dict);
  const { weight } = loaded.mlp.up_proj;
  assert.ok(square8Kind.is(weight));
  assert.deepEqual(weight.attrs, { groupSize: 16 });
  assert.deepEqual(await loaded.call(input(rt, 4)).bits(), await model.call(input(rt, 4)).bits());

  const again = bytesSink();
  await writeStateDict(stateDict(loaded), again);
  assert.deepEqual(again.bytes(), bytes);

  const there = await readStateDict(await onReference(), bytesSource(bytes));
  assert.deepEqual(await there.get('mlp.up_proj.weight').qdata.bits(), await weight.qdata.bits());
  await rt.close();
});

test('a file of a kind that no extension reads is a clear error', async () => {
  const rt = await onCpu();
  const { bytes } = await saved(rt);
  const plain = await createRuntime({ use: [cpu()] });
  await assert.rejects(readStateDict(plain, bytesSource(bytes)), {
    code: 'ERR_AO_FORMAT',
    message: /no extension in use reads a Square8Tensor/,
  });
  for (const r of [rt, plain]) await r.close();
});

test('the config goes through JSON by the runtime that knows it', async () => {
  const rt = await onReference();
  const config = square8WeightOnly({ groupSize: 32 });
  const json = configToJson(config, {}, rt);
  assert.equal(json, '{"_type": "Square8WeightOnlyConfig", "_version": 1, "_data": {"group_size": 32}}');
  assert.deepEqual(configFromJson(json, rt), config);
  assert.throws(() => configFromJson(json), {
    code: 'ERR_AO_CONFIG',
    message: /unknown config type Square8WeightOnly/,
  });
});
