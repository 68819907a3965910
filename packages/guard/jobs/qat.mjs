// @ao/qat with core and quantization: an adapter over an int8 base learns, travels in PEFT's files and is merged; then a weight is
// trained rounded and quantized for good.
import assert from 'node:assert/strict';

export async function job({ '@ao/core': core, '@ao/quantization': quantizers, '@ao/qat': adapters }) {
  const { autograd, backward, trainableParameters } = await import('@ao/core/autograd');
  const { createRuntime, Linear, sum, tensor } = core;
  const { int8WeightOnly, quantization, quantize_ } = quantizers;
  const { adapterFiles, getPeftModel, loadAdapter, loraConfig, mergeAndUnload, qat } = adapters;
  const rt = await createRuntime({ use: [autograd(), quantization(), qat()] });
  const wave = (rows, columns) =>
    tensor(
      rt,
      Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i * 0.37)),
      { shape: [rows, columns] },
    );
  const base = async () => {
    const layer = new Linear(wave(32, 64));
    await quantize_(layer, int8WeightOnly());
    return layer;
  };
  const [layer, other] = [await base(), await base()];
  const adapter = await getPeftModel(layer, loraConfig({ r: 4, targetModules: 'all-linear' }));
  backward(sum(layer.call(wave(2, 64))));
  assert.equal(trainableParameters(layer).filter(([, p]) => p.grad !== null).length, 2);
  await loadAdapter(other, await adapterFiles(adapter));
  const [row] = await mergeAndUnload(other);
  assert.ok(row.sqnr > 100, `${row.sqnr}`);
  const trained = new Linear(wave(32, 64));
  await quantize_(trained, qat(int8WeightOnly(), { step: 'prepare' }));
  await quantize_(trained, qat(int8WeightOnly(), { step: 'convert' }));
  assert.equal(trained.weight.kind.name, 'int8');
  await rt.close();
  return `${row.module} merged at ${row.sqnr} dB`;
}
