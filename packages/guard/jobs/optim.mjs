// @ao/optim with core: a regression trained with 8-bit state, which is small, saved, and read by another optimizer.
import assert from 'node:assert/strict';

export async function job({ '@ao/core': core, '@ao/optim': optimizers }) {
  const { autograd, backward } = await import('@ao/core/autograd');
  const { bytesSink, bytesSource, createRuntime, linear, mean, mul, scope, sub, tensor } = core;
  const { AdamW8bit, loadOptimizer, optim, saveOptimizer } = optimizers;
  const rt = await createRuntime({ use: [autograd(), optim()] });
  const wave = (rows, columns, step) =>
    tensor(
      rt,
      Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i * i * step)),
      { shape: [rows, columns] },
    );
  const [w, x, y] = [wave(64, 64, 0.37), wave(16, 64, 0.11), wave(16, 64, 0.23)];
  w.requiresGrad = true;
  const optimizer = new AdamW8bit([w], { lr: 0.02 });
  const losses = [];
  for (let i = 0; i < 10; i++) {
    const loss = scope(() => {
      const e = sub(linear(x, w), y);
      const l = mean(mul(e, e));
      backward(l);
      return l;
    });
    optimizer.step();
    optimizer.zeroGrad();
    losses.push(await loss.item());
  }
  assert.ok(losses.at(-1) < losses[0] / 2, `${losses}`);
  const sink = bytesSink();
  await saveOptimizer(optimizer, sink);
  const again = new AdamW8bit([w]);
  await loadOptimizer(again, bytesSource(sink.bytes()));
  assert.equal(await again.state.get(w).step.item(), 10);
  const bytes = again.stateBytes();
  assert.ok(bytes < 64 * 64 * 2 + 4096, `${bytes} bytes`);
  await rt.close();
  return losses.at(-1);
}
