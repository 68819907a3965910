// @ao/kernels-cpu with core: the compiled addon of the platform package opens, and a product on it equals the reference backend's.
import assert from 'node:assert/strict';

export async function job({ '@ao/core': { createRuntime, matmul, tensor }, '@ao/kernels-cpu': { cpu } }) {
  const rt = await createRuntime({ use: [cpu()] });
  assert.equal(rt.device, 'cpu');
  const values = Array.from({ length: 64 * 64 }, (_, i) => ((i * 37) % 101) / 64 - 0.75);
  const product = async (device) => {
    const x = tensor(rt, values, { shape: [64, 64], device });
    return [...(await matmul(x, x).data())];
  };
  const native = await product('cpu');
  const reference = await product('reference');
  native.forEach((value, i) => assert.ok(Math.abs(value - reference[i]) < 1e-4, `${i}: ${value}, not ${reference[i]}`));
  await rt.close();
  return native.length;
}
