// @ao/core alone: a matrix product on the reference backend, eager and as a captured plan.
import assert from 'node:assert/strict';

export async function job({ '@ao/core': { createRuntime, matmul, tensor } }) {
  const rt = await createRuntime();
  const a = tensor(rt, [
    [1, 2],
    [3, 4],
  ]);
  const b = tensor(rt, [
    [5, 6],
    [7, 8],
  ]);
  const eager = await matmul(a, b).data();
  assert.deepEqual([...eager], [19, 22, 43, 50]);
  const plan = rt.capture((x) => matmul(x, b), a);
  const [product] = plan.replay(b);
  assert.deepEqual([...(await product.data())], [67, 78, 91, 106]);
  await rt.close();
  return [...eager];
}
