import { describe, expect, it } from 'vitest';
import {
  type AoError,
  add,
  argmax,
  attention,
  bfloat16,
  cat,
  copy_,
  createRuntime,
  crossEntropy,
  type Dense,
  defineKind,
  defineOp,
  embedding,
  float32,
  full,
  int32,
  isAoError,
  kernel,
  linear,
  linears,
  matmul,
  mul,
  neg,
  override,
  permute,
  reshape,
  scope,
  select,
  slice,
  softmax,
  store,
  type Tensor,
  tensor,
  topk,
  transpose,
  valuesOf,
  zeros,
} from './index.ts';

const code = (fn: () => unknown): string => {
  try {
    fn();
  } catch (error) {
    if (isAoError(error)) return (error as AoError).code;
    throw error;
  }
  return 'none';
};

describe('runtime', () => {
  it('computes with broadcasting, promotion and weak numbers', async () => {
    const rt = await createRuntime();
    const a = tensor(rt, [
      [1, 2],
      [3, 4],
    ]);
    const b = tensor(rt, [10, 20]);
    expect(await add(a, b).data()).toEqual(Float32Array.of(11, 22, 13, 24));
    expect(mul(tensor(rt, [1, 2], { dtype: int32 }), 2).dtype).toBe(int32);
    expect(mul(tensor(rt, [1, 2], { dtype: int32 }), 0.5).dtype).toBe(float32);
    expect(code(() => add(a, tensor(rt, [1, 2, 3])))).toBe('ERR_AO_SHAPE');
  });

  it('makes views without copies, and copies where a view is impossible', async () => {
    const rt = await createRuntime();
    const x = tensor(rt, [0, 1, 2, 3, 4, 5], { shape: [2, 3] });
    const t = transpose(x, 0, 1) as Dense;
    expect(t.storage).toBe(x.storage);
    expect(await t.data()).toEqual(Float32Array.of(0, 3, 1, 4, 2, 5));
    expect((reshape(t, [6]) as Dense).storage).not.toBe(x.storage);
    expect(await slice(x, 1, 0, 3, 2).data()).toEqual(Float32Array.of(0, 2, 3, 5));
    expect(await select(x, 0, -1).data()).toEqual(Float32Array.of(3, 4, 5));
    copy_(slice(x, 1, 1, 2), full(rt, [2, 1], 9));
    expect(await x.data()).toEqual(Float32Array.of(0, 9, 2, 3, 9, 5));
    expect(await permute(x, [1, 0]).data()).toEqual(Float32Array.of(0, 3, 9, 9, 2, 5));
    expect(await cat([x, x], 1).data()).toEqual(Float32Array.of(0, 9, 2, 0, 9, 2, 3, 9, 5, 3, 9, 5));
  });

  it('runs the ops of a decoder', async () => {
    const rt = await createRuntime();
    const x = tensor(rt, [[1, 2]]);
    const w = tensor(rt, [
      [1, 0],
      [0, 1],
      [1, 1],
    ]);
    expect(await linear(x, w).data()).toEqual(Float32Array.of(1, 2, 3));
    expect((await Promise.all(linears(x, [w, w]).map((t) => t.data())))[1]).toEqual(Float32Array.of(1, 2, 3));
    expect(await matmul(x, transpose(w, 0, 1)).data()).toEqual(Float32Array.of(1, 2, 3));
    expect(await argmax(w, 0).data()).toEqual(Int32Array.of(0, 1));
    expect(await topk(x, 1)[1].data()).toEqual(Int32Array.of(1));
    expect(await embedding(w, tensor(rt, [2, 0], { dtype: int32 })).data()).toEqual(Float32Array.of(1, 1, 1, 0));
    expect((await softmax(zeros(rt, [1, 4])).data())[0]).toBe(0.25);
    expect(await crossEntropy(zeros(rt, [2, 4]), tensor(rt, [1, -100], { dtype: int32 })).item()).toBeCloseTo(
      Math.log(4),
      6,
    );
    const kv = zeros(rt, [1, 1, 2, 2]);
    expect(attention(zeros(rt, [1, 1, 2, 2]), kv, kv, undefined, undefined, {}).shape).toEqual([1, 1, 2, 2]);
    const masked = (shape: number[]) => () =>
      attention(
        zeros(rt, [2, 1, 2, 2]),
        zeros(rt, [2, 2, 3, 2]),
        zeros(rt, [2, 2, 3, 2]),
        undefined,
        zeros(rt, shape),
        {},
      );
    expect(code(masked([2, 1, 1, 3]))).toBe('none');
    expect(code(masked([3, 1, 1, 3]))).toBe('ERR_AO_SHAPE');
    expect(code(masked([2, 1, 3]))).toBe('ERR_AO_SHAPE');
  });

  it('disposes what a scope made, except its result', async () => {
    const rt = await createRuntime();
    const x = tensor(rt, [1, 2]);
    let inner: Tensor | undefined;
    const y = scope(() => {
      inner = add(x, 1);
      return mul(inner, 2);
    });
    expect(inner?.disposed).toBe(true);
    expect(await y.data()).toEqual(Float32Array.of(4, 6));
    expect(code(() => neg(inner as Tensor))).toBe('ERR_AO_DISPOSED');
    expect(code(() => scope(async () => 1))).toBe('ERR_AO_CONFIG');
    const before = rt.backend('reference').memory().live;
    scope(() => void add(x, x));
    expect(rt.backend('reference').memory().live).toBe(before);
  });

  it('captures without running, replays with new inputs, and guards stale outputs', async () => {
    const rt = await createRuntime();
    const counter = zeros(rt, [1]);
    const x = tensor(rt, [1, 2]);
    const plan = rt.capture((a) => {
      copy_(counter, add(counter, 1));
      return mul(add(a, 1), 2);
    }, x);
    expect([x.kept, await counter.item()]).toEqual([false, 0]);
    const [first] = plan.replay();
    expect(await first?.data()).toEqual(Float32Array.of(4, 6));
    const [second] = plan.replay(tensor(rt, [10, 20]));
    expect(await second?.data()).toEqual(Float32Array.of(22, 42));
    expect(await counter.item()).toBe(2);
    expect(code(() => neg(first as Tensor))).toBe('ERR_AO_DISPOSED');
    const live = rt.backend('reference').memory().live;
    expect(code(() => rt.capture((a) => add(a, 1).dataSync(), x))).toBe('ERR_AO_STREAM');
    expect(rt.backend('reference').memory().live).toBe(live);
    plan.dispose();
    expect(code(() => plan.replay())).toBe('ERR_AO_DISPOSED');
  });

  it('lets an extension add a kind, an op and kernels in any order, and refuses conflicts', async () => {
    const doubled = defineKind('test/doubled', {
      parts: ['half'],
      attrs: () => ({}),
      dequantize: (t) => mul(t.half, 2),
    });
    const twice = defineOp<[x: Tensor]>('test/twice', { meta: (x) => ({ shape: x.shape, dtype: x.dtype }) });
    const kinds = {
      name: 'kinds',
      entries: [override(neg, 0, doubled, (x) => mul((x as ReturnType<typeof doubled.make>).half, -2))],
    };
    const kernels = {
      name: 'kernels',
      entries: [
        kernel(twice, 'reference', (out, x) =>
          store(
            out,
            Float64Array.from(valuesOf(x), (v) => 2 * v),
          ),
        ),
      ],
    };
    const rt = await createRuntime({ use: [kinds, kernels] });
    const other = await createRuntime({ use: [kernels, kinds] });
    expect(rt.coverage()).toEqual(other.coverage());
    const half = tensor(rt, [1, 2]);
    const t = doubled.make({ half }, {}, [2], float32);
    expect(await t.data()).toEqual(Float32Array.of(2, 4));
    expect(await neg(t).data()).toEqual(Float32Array.of(-2, -4));
    expect(await twice(half).data()).toEqual(Float32Array.of(2, 4));
    expect(code(() => softmax(t))).toBe('ERR_AO_KERNEL');
    const rival = { name: 'rival', entries: [kernel(twice, 'reference', (out) => store(out, [0, 0]))] };
    await expect(createRuntime({ use: [kernels, rival] })).rejects.toMatchObject({ code: 'ERR_AO_CONFIG' });
    expect(code(() => add(half, tensor(other, [1])))).toBe('ERR_AO_DEVICE');
  });

  it('prints values people can read', async () => {
    const rt = await createRuntime();
    const x = tensor(rt, [[1, 2.5]], { dtype: bfloat16 });
    expect(String(x)).toBe('Tensor([[1, 2.5000]], shape=[1,2], dtype=bfloat16, device=reference)');
    expect(String(zeros(rt, [100]))).toContain('[0, 0, 0, ..., 0, 0, 0]');
  });
});
