// Attention as prefill and training have it, causal, 32 query heads over 8 of keys, 128 wide, bfloat16: errors against the same in
// float32, which own kernels compute, then speeds of both passes.
import * as ao from '@ao/core';
import { attentionBackward, attentionWithLse, normal_ } from '@ao/core/autograd';
import { type Part, timePlan } from '../part.ts';

const HEADS = 32;
const KV_HEADS = 8;
const DIM = 128;

const options = { causal: true, scale: DIM ** -0.5 } as const;

function inputs(rt: ao.Runtime, batch: number, tokens: number, dtype: ao.DType): ao.Tensor[] {
  const state = ao.tensor(rt, [1, 0], { dtype: ao.int32 });
  const values = (shape: readonly number[]) =>
    ao.cast(normal_(ao.empty(rt, shape, { dtype: ao.bfloat16 }), 0, 1, state), dtype);
  const keys = [batch, KV_HEADS, tokens, DIM];
  return [values([batch, tokens, HEADS, DIM]), values(keys), values(keys), values([batch, tokens, HEADS, DIM])];
}

/** |a - b| / |b|. */
async function error(a: ao.Tensor, b: ao.Tensor): Promise<number> {
  const [x, y] = [await ao.cast(a, ao.float32).data(), await ao.cast(b, ao.float32).data()];
  let difference = 0;
  let size = 0;
  for (let i = 0; i < y.length; i++) {
    difference += (Number(x[i]) - Number(y[i])) ** 2;
    size += Number(y[i]) ** 2;
  }
  return Math.sqrt(difference / size);
}

export const attentions: Part = {
  name: 'attention',
  async run(rt, say) {
    const both = async (dtype: ao.DType) => {
      const [q, k, v, g] = inputs(rt, 2, 333, dtype) as [ao.Tensor, ao.Tensor, ao.Tensor, ao.Tensor];
      const [out, lse] = attentionWithLse(q, k, v, undefined, undefined, options);
      return [out, ...attentionBackward(g, q, k, v, out, lse, undefined, undefined, options)];
    };
    const [half, full] = [await both(ao.bfloat16), await both(ao.float32)];
    for (const [i, name] of ['out', 'dq', 'dk', 'dv'].entries())
      say({ name: `attention error of ${name}, 2 x 333 tokens`, unit: 'x', value: await error(half[i]!, full[i]!) });
    for (const [batch, tokens] of [
      [1, 2048],
      [4, 2048],
      [1, 8192],
    ] as const) {
      const [q, k, v, g] = inputs(rt, batch, tokens, ao.bfloat16) as [ao.Tensor, ao.Tensor, ao.Tensor, ao.Tensor];
      const [out, lse] = attentionWithLse(q, k, v, undefined, undefined, options);
      const pass = (name: string, value: number, products: number) =>
        say({
          name: `attention ${name} ${batch} x ${tokens}`,
          unit: 'us',
          value,
          note: `${((products * batch * tokens ** 2 * HEADS * DIM) / value / 1e6).toFixed(0)} TFLOP/s`,
        });
      const calls = Array.from({ length: 5 });
      pass(
        'forward',
        await timePlan(
          rt,
          calls.map(() => () => ao.attention(q, k, v, undefined, undefined, options)),
        ),
        2,
      );
      pass(
        'backward',
        await timePlan(
          rt,
          calls.map(() => () => attentionBackward(g, q, k, v, out, lse, undefined, undefined, options)[0]),
        ),
        5,
      );
    }
  },
};
