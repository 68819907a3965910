// @ao/quantization with core: a linear layer to int4, its report, its error against the float layer, and back to float.
import assert from 'node:assert/strict';

export async function job({ '@ao/core': core, '@ao/quantization': quantization }) {
  const { createRuntime, Linear, Module, tensor } = core;
  const { computeError, dequantize_, int4, int4WeightOnly, quantize_ } = quantization;
  class Model extends Module {
    constructor(proj) {
      super();
      this.proj = proj;
    }
    forward(x) {
      return this.proj.call(x);
    }
  }
  const rt = await createRuntime({ use: [int4()] });
  const wave = (n, step) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * step));
  const model = new Model(new Linear(tensor(rt, wave(64 * 128, 0.37), { shape: [64, 128] })));
  const x = tensor(rt, wave(128, 0.11), { shape: [1, 128] });
  const float = model.call(x);
  const report = await quantize_(model, int4WeightOnly({ groupSize: 32 }));
  assert.deepEqual(
    report.rows.map(({ fqn, bits }) => [fqn, bits]),
    [['proj.weight', 4]],
  );
  assert.ok(report.rows[0].bytesAfter < report.rows[0].bytesBefore / 5);
  const decibels = await computeError(float, model.call(x));
  assert.ok(decibels > 20, `${decibels} dB`);
  assert.deepEqual(await dequantize_(model), ['proj.weight']);
  await rt.close();
  return decibels;
}
