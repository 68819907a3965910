// x [M, K] times weights of Llama 8B's shapes: bfloat16 ones, and int8 and int4 ones in groups of 128, as quantize_ packs them.
import * as ao from '@ao/core';
import { normal_ } from '@ao/core/autograd';
import { type Part, timePlan } from '../part.ts';

const CALLS = 10;
const CODES = ['bfloat16', 'int8', 'int4'] as const;
const SHAPES = [
  [28672, 4096],
  [4096, 14336],
  [6144, 4096],
] as const;

async function linear(rt: ao.Runtime, M: number, N: number, K: number, code: (typeof CODES)[number]): Promise<number> {
  const state = ao.tensor(rt, [1, 0], { dtype: ao.int32 });
  const values = (shape: readonly number[], std = 0.02) =>
    normal_(ao.empty(rt, shape, { dtype: ao.bfloat16 }), 0, std, state) as ao.Dense;
  const x = values([M, K]);
  const weights = Array.from({ length: CALLS }, () => {
    const w = values([N, K]);
    if (code === 'bfloat16') {
      ao.packWeight(rt, w);
      return w;
    }
    const codes = ao.cast(values([N, code === 'int4' ? K / 2 : K], 30), ao.int8) as ao.Dense;
    const scale = values([N, K / 128]);
    const format = { code, N, K, groupSize: 128, zeroDomain: 'none', activation: 'exact' } as const;
    w.packed = rt.packer('cuda')!.pack({ format, codes, scale }, ao.bfloat16);
    w.releaseBytes();
    return w;
  });
  const us = await timePlan(
    rt,
    weights.map((w) => () => ao.linear(x, w)),
  );
  for (const t of [x, state, ...weights]) t.dispose();
  return us;
}

export const linears: Part = {
  name: 'linear',
  async run(rt, say) {
    for (const [N, K] of SHAPES)
      for (const M of [1, 4, 16, 64, 2048])
        for (const code of CODES) {
          const bits = code === 'bfloat16' ? 16 : (code === 'int8' ? 8 : 4) + 16 / 128;
          const value = await linear(rt, M, N, K, code);
          say({ name: `linear ${code} [${M}, ${K}] x [${N}, ${K}]`, unit: 'us', value, bytes: (N * K * bits) / 8 });
        }
  },
};
