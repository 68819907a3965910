// The config in quantize_ and its rules; the kernels against the reference backend; capture, replay and failures.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { add, cast, clone, createRuntime, float32, Module, tensor, to } from '@ao/core';
import { cpu } from '@ao/kernels-cpu';
import { computeError, quantize_ } from '@ao/quantization';
import { square8Dtype, square8Kind, square8WeightOnly } from 'ao-example-square8';
import { everyCode, input, Model, noise, onCpu, onReference } from './model.mjs';

test('the dtype gives the same bits on both backends', async () => {
  const [rt, ref] = [await onCpu(), await onReference()];
  const codes = everyCode(rt, square8Dtype);
  const values = cast(codes, float32);
  assert.deepEqual(await values.data(), await everyCode(ref, square8Dtype).data());
  assert.deepEqual(await cast(values, square8Dtype).bits(), await codes.bits());
  assert.deepEqual(await clone(codes).bits(), await codes.bits());
  const x = Float32Array.from([...noise(5000, 11), -3, 3, Infinity, 0, -0, 0.5 / 16129, 1e-30]);
  const [here, there] = [rt, ref].map((r) => cast(tensor(r, x), square8Dtype));
  assert.deepEqual(await here.bits(), await there.bits());
  await rt.close();
});

test('quantize_ takes the config, and the cpu agrees with the reference backend', async () => {
  const [rt, ref] = [await onCpu(), await onReference()];
  const [model, float, oracle] = [new Model(rt), new Model(rt), new Model(ref)];
  const { rows, bytesAfter } = await quantize_(model, square8WeightOnly({ groupSize: 32 }));
  assert.deepEqual(
    rows.map(({ fqn, scheme, bits }) => [fqn, scheme, bits]),
    [
      ['mlp.up_proj.weight', 'square8wo-32', 8],
      ['mlp.down_proj.weight', 'square8wo-32', 8],
    ],
  );
  const weights = 2 * 64 * 192;
  assert.equal(bytesAfter, weights + 4 * (weights / 32) + 4 * 192);
  for (const { fqn, sqnr } of rows) assert.ok(sqnr > 38, `${fqn}: ${sqnr} dB`);

  await quantize_(oracle, square8WeightOnly({ groupSize: 32 }));
  const y = model.call(input(rt, 5));
  assert.deepEqual(await model.mlp.up_proj.weight.qdata.bits(), await oracle.mlp.up_proj.weight.qdata.bits());
  const expected = await oracle.call(input(ref, 5)).data();
  (await y.data()).forEach((v, i) => assert.ok(Math.abs(v - expected[i]) < 2e-5, `${i}: ${v}, not ${expected[i]}`));
  assert.ok((await computeError(float.call(input(rt, 5)), y)) > 35);

  const first = model.call(input(rt, 1)); // the same numbers as the first row of five
  assert.deepEqual(await first.bits(), (await y.bits()).slice(0, 64));
  assert.ok(square8Kind.is(await to(model.mlp.up_proj.weight, 'reference')));
  await rt.close();
});

test('rules select it, and what cannot have it is an error before any work', async () => {
  const rt = await onCpu();
  const model = new Model(rt);
  await assert.rejects(quantize_(model, square8WeightOnly({ groupSize: 128 })), {
    code: 'ERR_AO_CONFIG',
    message: /mlp\.up_proj\.weight: 64 columns are no multiple of the group size 128; group size 64 or 32 or 16 fits/,
  });
  assert.equal(model.mlp.up_proj.weight.kind, null);
  const { rows } = await quantize_(model, [['re:.*down_proj', square8WeightOnly()]]);
  assert.deepEqual(
    rows.map(({ scheme }) => scheme),
    [null, 'square8wo-64'],
  );
  assert.throws(() => square8WeightOnly({ groupSize: 0 }), { code: 'ERR_AO_CONFIG' });
  await rt.close();
});

test('a runtime without the extension says so', async () => {
  const rt = await createRuntime({ use: [cpu()] });
  await assert.rejects(quantize_(new Model(rt), square8WeightOnly()), {
    code: 'ERR_AO_CONFIG',
    message: /no extension in use answers quantize for Square8WeightOnlyConfig/,
  });
  await rt.close();
});

test('a captured model replays to the bits of eager calls', async () => {
  const rt = await onCpu();
  const model = new Model(rt);
  await quantize_(model, square8WeightOnly());
  const plan = rt.capture((x) => model.call(x), input(rt, 3));
  for (const seed of [21, 22]) {
    const [replayed] = plan.replay(input(rt, 3, seed));
    assert.deepEqual(await replayed.bits(), await model.call(input(rt, 3, seed)).bits());
  }
  plan.dispose();
  await rt.close();
});

test('a kernel that fails poisons what comes of it, and nothing else', async () => {
  const rt = await onCpu();
  class Narrow extends Module {
    forward(x) {
      return cast(cast(x, square8Dtype), float32);
    }
  }
  const narrow = new Narrow();
  narrow.path = 'layers.0.narrow';
  const bad = add(narrow.call(tensor(rt, [0.5, Number.NaN])), 1); // returns at once
  const failure = {
    code: 'ERR_AO_STREAM',
    op: 'cast',
    module: 'layers.0.narrow',
    message: /square8 has no code for NaN/,
  };
  await assert.rejects(bad.data(), failure);
  assert.deepEqual(await narrow.call(tensor(rt, [1, -1, 0])).data(), Float32Array.from([1, -1, 0]));
  await rt.close();
});
