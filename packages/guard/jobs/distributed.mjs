// @ao/distributed with core: a group of one process, whose collectives, shards and parallel weights are what they are made of.
import assert from 'node:assert/strict';

export async function job({ '@ao/core': core, '@ao/distributed': several }) {
  const { autograd } = await import('@ao/core/autograd');
  const { createRuntime, Linear, tensor } = core;
  const { allReduce_, distributed, fullyShard, initProcessGroup, launchEnvironment, parallelize, shardedKind } =
    several;
  assert.equal(launchEnvironment({ RANK: '1', WORLD_SIZE: '4' }).rank, 1);
  const rt = await createRuntime({ use: [autograd(), distributed()] });
  const group = await initProcessGroup(rt, { environment: launchEnvironment({}) });
  const summed = allReduce_(tensor(rt, [1, 2, 3]), group);
  assert.deepEqual([...(await summed.data())], [1, 2, 3]);
  const made = () => new Linear(tensor(rt, [1, 2, 3, 4, 5, 6], { shape: [3, 2] })).named();
  const x = tensor(rt, [1, -1], { shape: [1, 2] });
  const [sharded, parallel] = [made(), made()];
  assert.deepEqual(fullyShard(sharded, group), ['weight']);
  assert.ok(shardedKind.is(sharded.weight));
  assert.deepEqual(parallelize(parallel, { '': 'rowwise' }, group), ['']);
  const expected = await made().call(x).data();
  assert.deepEqual(await sharded.call(x).data(), expected);
  assert.deepEqual(await parallel.call(x).data(), expected);
  await group.destroy();
  await rt.close();
  return expected[0];
}
