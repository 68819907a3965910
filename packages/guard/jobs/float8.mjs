// @ao/float8 with core and quantization: a linear trained in float8 learns, counts nothing out of range, and is a plain one again.
import assert from 'node:assert/strict';

export async function job({ '@ao/core': core, '@ao/float8': lowPrecision }) {
  const { autograd, backward, noGrad, requiresGrad_, trainableParameters } = await import('@ao/core/autograd');
  const { copy_, createRuntime, Linear, mean, mul, sub, tensor } = core;
  const { convertToFloat8Training, Float8Linear, float8Counts, float8Training, toFloatLinears } = lowPrecision;
  const rt = await createRuntime({ use: [autograd(), float8Training()] });
  const wave = (rows, columns, step) =>
    tensor(
      rt,
      Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i * i * step)),
      { shape: [rows, columns] },
    );
  const plain = new Linear(wave(32, 64, 0.37));
  requiresGrad_(plain);
  const layer = convertToFloat8Training(plain, { recipe: 'rowwise', countValues: true });
  assert.ok(layer instanceof Float8Linear);
  const [x, y] = [wave(16, 64, 0.11), wave(16, 32, 0.23)];
  const [[, weight]] = trainableParameters(layer);
  const losses = [];
  for (let i = 0; i < 5; i++) {
    const error = sub(layer.call(x), y);
    const loss = mean(mul(error, error));
    backward(loss);
    noGrad(() => copy_(weight, sub(weight, mul(weight.grad, 4))));
    weight.grad = null;
    losses.push(await loss.item());
  }
  assert.ok(losses.at(-1) < losses[0], `${losses}`);
  const [counts] = await float8Counts(layer);
  assert.deepEqual(counts.input, { saturated: 0, nonFinite: 0 });
  assert.equal(toFloatLinears(layer).weight.kind, null);
  await rt.close();
  return `loss ${losses[0]} to ${losses.at(-1)}`;
}
