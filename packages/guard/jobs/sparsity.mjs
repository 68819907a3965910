// @ao/sparsity with core and quantization: a weight becomes 2:4 with int8 values and gives the product of its pruned form; then a
// layer trains pruned, and another keeps half of its blocks.
import assert from 'node:assert/strict';

export async function job({ '@ao/core': core, '@ao/quantization': quantizers, '@ao/sparsity': sparse }) {
  const { autograd, backward } = await import('@ao/core/autograd');
  const { createRuntime, Linear, sum, tensor } = core;
  const { quantization } = quantizers;
  const {
    applyFakeSparsity,
    blockSparseWeight,
    int8DynamicActivationInt8SemiSparseWeight,
    SemiSparseLinear,
    sparsify_,
  } = sparse;
  const rt = await createRuntime({ use: [autograd(), quantization(), sparse.sparsity()] });
  const wave = (rows, columns) =>
    tensor(
      rt,
      Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i * 0.37)),
      { shape: [rows, columns] },
    );
  const [layer, pruned] = [new Linear(wave(32, 64)), new Linear(wave(32, 64))];
  applyFakeSparsity(pruned);
  const report = await sparsify_(layer, int8DynamicActivationInt8SemiSparseWeight());
  const x = wave(2, 64);
  const [got, want] = [await layer.call(x).data(), await pruned.call(x).data()];
  assert.ok(got.every((v, i) => Math.abs(v - want[i]) < 0.2));
  const trained = SemiSparseLinear.fromDense(new Linear(wave(32, 64)));
  trained.weight.requiresGrad = true;
  backward(sum(trained.call(x)));
  assert.deepEqual(trained.weight.grad.shape, [32, 64]);
  const blocks = new Linear(
    tensor(
      rt,
      [...Array(32)].map((_, i) => Array(32).fill(i < 16 ? i + 1 : 0)),
    ),
  );
  await sparsify_(blocks, blockSparseWeight({ blocksize: 16 }));
  assert.equal(blocks.weight.values.shape[0], 2);
  await rt.close();
  return `${report.rows[0].scheme}: ${report.bytesBefore} to ${report.bytesAfter} bytes`;
}
