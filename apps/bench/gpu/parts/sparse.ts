// 2:4 weights: magnitude pruning and compression in one kernel (bytes: x once, the values and the places of those that stay), and products
// of packed ones, bfloat16 and int8 (x quantized by rows), beside the dense weight with the same zeros, which must give the same numbers.
import * as ao from '@ao/core';
import { normal_ } from '@ao/core/autograd';
import { sparse24Compress, sparse24Expand } from '@ao/sparsity';
import { type Part, type Say, timePlan } from '../part.ts';

const PRUNED = [4096, 14336] as const;
const WEIGHTS = 4;
const SHAPES = [
  [4096, 4096],
  [28672, 4096],
  [4096, 14336],
] as const;
const ROWS = [256, 4096];

type Values = (shape: readonly number[], std?: number) => ao.Dense;

async function compress(rt: ao.Runtime, values: Values, say: Say): Promise<void> {
  const weights = Array.from({ length: WEIGHTS }, () => values(PRUNED));
  const [N, K] = PRUNED;
  const calls = weights.map((w) => () => sparse24Compress(w)[0]);
  const value = await timePlan(rt, calls);
  say({
    name: `prune and compress bfloat16 [${PRUNED}]`,
    unit: 'us',
    value,
    bytes: 2 * N * K + N * K + (N * K) / 8,
  });
  for (const w of weights) w.dispose();
}

/** The packed sparse weight and the dense one. */
function pair(rt: ao.Runtime, values: Values, N: number, K: number, code: 'bfloat16' | 'int8'): ao.Dense[] {
  const [kept, meta] = sparse24Compress(values([N, K], code === 'int8' ? 30 : 0.02)) as [ao.Dense, ao.Dense];
  const codes = code === 'int8' ? (ao.cast(kept, ao.int8) as ao.Dense) : kept;
  const activation = code === 'int8' ? 'int8-token' : 'exact';
  const scale = code === 'int8' ? values([N, 1], 1e-3) : undefined;
  const format = { code, N, K, groupSize: K, zeroDomain: 'none', activation } as const;
  return [true, false].map((sparse) => {
    const w = ao.empty(rt, [N, K], { dtype: ao.bfloat16 });
    const parts = sparse
      ? { format: { ...format, twoOfFour: true }, codes, meta }
      : { format, codes: sparse24Expand(codes, meta) as ao.Dense };
    w.packed = rt.packer('cuda')!.pack({ ...parts, ...(scale && { scale }) }, ao.bfloat16);
    w.releaseBytes();
    return w;
  });
}

/** Of the two products, by norm. */
async function difference(x: ao.Dense, sparse: ao.Dense, dense: ao.Dense): Promise<string> {
  const [got, want] = await Promise.all([sparse, dense].map((w) => ao.linear(x, w).data()));
  let off = 0;
  let size = 0;
  for (const [i, y] of want!.entries()) {
    off += (Number(got![i]) - Number(y)) ** 2;
    size += Number(y) ** 2;
  }
  return Math.sqrt(off / size).toExponential(1);
}

async function products(rt: ao.Runtime, values: Values, say: Say): Promise<void> {
  for (const code of ['bfloat16', 'int8'] as const)
    for (const [N, K] of SHAPES) {
      const [sparse, dense] = pair(rt, values, N, K, code) as [ao.Dense, ao.Dense];
      for (const M of ROWS) {
        const x = values([M, K], 1);
        const name = `${code} [${M}, ${K}] x [${N}, ${K}]`;
        const note = M === ROWS[0] ? `relative difference ${await difference(x, sparse, dense)}` : undefined;
        const value = await timePlan(rt, [() => ao.linear(x, sparse)]);
        say({ name: `2:4 ${name}`, unit: 'us', value, ...(note && { note }) });
        if (code === 'bfloat16')
          say({ name: `dense ${name}`, unit: 'us', value: await timePlan(rt, [() => ao.linear(x, dense)]) });
        x.dispose();
      }
      for (const w of [sparse, dense]) w.dispose();
    }
}

export const sparseWeights: Part = {
  name: 'sparse',
  async run(rt, say) {
    const state = ao.tensor(rt, [1, 0], { dtype: ao.int32 });
    const values: Values = (shape, std = 0.02) =>
      normal_(ao.empty(rt, shape, { dtype: ao.bfloat16 }), 0, std, state) as ao.Dense;
    await compress(rt, values, say);
    await products(rt, values, say);
    state.dispose();
  },
};
