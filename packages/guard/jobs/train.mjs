// @ao/train with core: a bigram model learns to count, by a rule of its own, stops, and goes on from its checkpoint as if it had not.
import assert from 'node:assert/strict';

export async function job({ '@ao/core': core, '@ao/train': training }) {
  const { autograd, noGrad } = await import('@ao/core/autograd');
  const { bytesSink, bytesSource, copy_, createRuntime, Embedding, Module, mul, sub, tensor } = core;
  const { loadCheckpoint, openTokens, packedDataset, saveCheckpoint, train, writeTokens } = training;
  class Bigram extends Module {
    constructor(table) {
      super();
      this.table = new Embedding(table);
    }
    forward(ids) {
      return this.table.call(ids);
    }
  }
  const rt = await createRuntime({ use: [autograd()] });
  const file = bytesSink();
  await writeTokens(file, [Array.from({ length: 64 }, (_, i) => 1 + (i % 7))], { eosTokenId: 0, vocabSize: 8 });
  const data = packedDataset(await openTokens(bytesSource(file.bytes())), 8);
  const made = () => {
    const table = tensor(rt, new Float32Array(64), { shape: [8, 8] });
    table.requiresGrad = true;
    const lr = tensor(rt, [4]);
    const optimizer = {
      paramGroups: [{ params: [table], lr }],
      initState() {},
      step: () => noGrad(() => copy_(table, sub(table, mul(table.grad, lr)))),
      zeroGrad() {
        table.grad?.dispose();
        table.grad = null;
      },
      stateDict: () => new Map([['lr', lr]]),
      loadStateDict: (dict) => noGrad(() => void copy_(lr, dict.get('lr'))),
    };
    return {
      model: new Bigram(table),
      optimizer,
      parts: { parameters: new Map([['table', table]]), optimizer },
      table,
    };
  };
  const options = { data, batchSize: 2, maxGradNorm: 0 };
  const whole = made();
  const { loss } = await train({ ...options, ...whole, maxSteps: 20 });
  assert.ok(loss < 1.5, `${loss}`);
  const [first, second] = [made(), made()];
  const { state } = await train({ ...options, ...first, maxSteps: 10 });
  const checkpoint = bytesSink();
  await saveCheckpoint(checkpoint, first.parts, state);
  const resume = await loadCheckpoint(bytesSource(checkpoint.bytes()), second.parts);
  await train({ ...options, ...second, maxSteps: 20, resume });
  assert.deepEqual(await second.table.data(), await whole.table.data());
  await rt.close();
  return loss;
}
