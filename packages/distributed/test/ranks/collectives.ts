// Every collective, eager and replayed, on values whose sums are known.
import { add, bfloat16, clone, type DType, float16, float32, int32, scope, type Tensor, tensor, uint8 } from '@ao/core';
import { allGather, allReduce_, broadcast_, reduceScatter } from '../../src/index.ts';
import { rank, tell } from './runtime.ts';

const { rt, group } = await rank();
const { rank: me, size } = group;
const values = (n: number, seed: number, dtype: DType = float32): Tensor =>
  tensor(
    rt,
    Float32Array.from({ length: n }, (_, i) => Math.sin(i * 0.7 + seed) * 3),
    { dtype },
  );
const list = async (t: Tensor): Promise<number[]> => [...((await t.data()) as Float32Array)];
const bits = async (t: Tensor): Promise<string> =>
  Buffer.from(new Uint8Array((await t.bits()).buffer)).toString('base64');
const result: Record<string, unknown> = { rank: me, size };

for (const dtype of [float32, bfloat16, float16])
  for (const n of [1, 7, 10_001])
    result[`sum ${dtype.name} ${n}`] = await bits(allReduce_(values(n, me, dtype), group));
result['avg'] = await list(allReduce_(values(5, me), group, 'avg'));
result['max'] = await list(allReduce_(values(5, me), group, 'max'));
result['min'] = await list(allReduce_(values(5, me), group, 'min'));
result['gather'] = await list(allGather(tensor(rt, [me * 10, me * 10 + 1], { dtype: int32 }), group));
result['gather bytes'] = await list(allGather(tensor(rt, [me, 255 - me, 7], { dtype: uint8 }), group));
result['scatter'] = await list(reduceScatter(values(2 * size, me), group));
result['broadcast'] = await list(broadcast_(values(4, me), group, size - 1));

const plan = rt.capture((x) => scope(() => add(allReduce_(clone(x!), group), 1)), values(6000, me));
const eager = add(allReduce_(clone(values(6000, me + 9)), group), 1);
const turns: boolean[] = [];
for (let i = 0; i < 4; i++) {
  const [replayed] = plan.replay(values(6000, me + 9));
  turns.push((await bits(replayed!)) === (await bits(eager)));
}
result['replayed'] = turns;
plan.dispose();
result['texts'] = await group.gatherText(`hello ${me}`);
await group.barrier();
tell(result);
await group.destroy();
await rt.close();
